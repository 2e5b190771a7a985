import { once, setMaxListeners } from 'node:events'
import type { Server as NodeServer } from 'node:http'
import { type AddressInfo, isIP } from 'node:net'
import { serve as listen } from '@hono/node-server'
import type { Model } from '@reallm/runtime'
import { ReallmError } from '@reallm/tensor-io'
import type { Answered } from './answered.ts'
import { createApp } from './app.ts'
import { ApiError } from './errors.ts'
import { Generator } from './generator.ts'
import { Metrics } from './metrics.ts'

/** Options of `serve`. */
export interface ServeOptions {
  /** Default `127.0.0.1`: this machine alone. Others need an `apiKey`. */
  readonly host?: string | undefined
  /** Default 8080; 0 takes a free one. */
  readonly port?: number | undefined
  /** What clients have to send as `Authorization: Bearer …`; default none. */
  readonly apiKey?: string | undefined
  /** What the API calls the model; default `model`. */
  readonly name?: string | undefined
  /** Texts that are written at a time, a token of each in one pass through the layers; default 4. */
  readonly parallel?: number | undefined
  /** Texts that may wait for their turn, before requests are refused with status 429; default 64. */
  readonly waiting?: number | undefined
  /** Tokens of a prompt and its answer at most; default 8192, or the model's positions where they are fewer. */
  readonly context?: number | undefined
  /** Temperature of requests that name none, 0 to 2; default 1, as OpenAI's. */
  readonly temperature?: number | undefined
  /** Bytes of a request at most; default 1 MiB. */
  readonly maxBody?: number | undefined
  /** Seconds that an answer may take, waiting included; default 600. */
  readonly timeout?: number | undefined
  /** Seconds after which a client that takes nothing of a streamed answer is left; default 30. */
  readonly patience?: number | undefined
  /** Origins whose pages may ask, like `https://example.com`; default none. */
  readonly origins?: readonly string[] | undefined
  readonly onRequest?: ((answered: Answered) => void) | undefined
  /** Hears of errors that no request caused; clients are told nothing about them. */
  readonly onError?: ((error: unknown) => void) | undefined
}

/** A server that runs. */
export interface ModelServer {
  /** Without a slash at the end; OpenAI's clients want `${url}/v1`. */
  readonly url: string
  readonly port: number
  /**
   * Takes no more requests, waits until those that are there are answered, ends them after `grace` seconds (default 30), and
   * closes the port. The model stays.
   */
  close(options?: { grace?: number | undefined }): Promise<void>
}

/**
 * Serves a model by OpenAI's API: `/v1/chat/completions`, `/v1/completions`, `/v1/models`, and `/health` and `/metrics`.
 *
 * @throws `bad-option` for a model without a tokenizer, and for a host that others reach without an API key; `io` where the
 *   port is taken
 * @example
 * const server = await serve(await load('npm:@reallm/tiny'), { port: 8080 })
 */
export async function serve(model: Model, options: ServeOptions = {}): Promise<ModelServer> {
  const { host = '127.0.0.1', port = 8080, apiKey, name = 'model', timeout = 600 } = options
  const { origins = [], patience = 30, maxBody = 2 ** 20, temperature = 1 } = options
  const isOpen = !isLoopback(host)
  if (isOpen && apiKey === undefined) {
    throw new ReallmError('bad-option', `${host}: anybody who reaches this machine could use the model`, {
      hint: 'set an API key (apiKey in code, REALLM_API_KEY for reallm serve), or serve on 127.0.0.1',
    })
  }
  if (apiKey !== undefined && !/^[\w.~+/-]+=*$/.test(apiKey)) {
    throw new ReallmError('bad-option', 'the API key has characters that no client can send', {
      hint: 'take letters, digits and - . _ ~ + /, without spaces and line ends',
    })
  }
  if (name.trim() === '') throw new ReallmError('bad-option', 'the name of the model is empty')
  for (const origin of origins) {
    // not `URL.origin`, which is null for the pages of apps and extensions
    const { protocol, host: site } = URL.canParse(origin) ? new URL(origin) : { protocol: '', host: '' }
    if (site !== '' && `${protocol}//${site}` === origin) continue
    throw new ReallmError('bad-option', `${JSON.stringify(origin)} is no origin`, {
      hint: 'name each like https://example.com, without a path',
    })
  }
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new ReallmError('bad-option', `${port} is no port`, { hint: 'take one from 1024 to 65535' })
  }
  if (!(temperature >= 0 && temperature <= 2)) {
    throw new ReallmError('bad-option', `the temperature ${temperature} is not from 0 to 2`)
  }
  const generator = new Generator(model, {
    parallel: options.parallel ?? 4,
    waiting: options.waiting ?? 64,
    context: Math.min(options.context ?? 8192, model.config.maxPositions),
  })
  const metrics = new Metrics(() => ({
    ...{ running: generator.running, waiting: generator.waiting, modelBytes: model.bytes },
  }))
  const stop = new AbortController()
  // each request listens
  setMaxListeners(0, stop.signal)
  const closing = new AbortController()
  const { onError = () => {}, onRequest = () => {} } = options
  const service = {
    generator,
    metrics,
    name,
    maxBody,
    temperature,
    timeout,
    patience,
    stopped: stop.signal,
    onError,
  }
  const app = createApp(service, {
    apiKey,
    hosts:
      isOpen || apiKey !== undefined ? undefined : [...new Set(['localhost', '127.0.0.1', '[::1]', host])],
    origins,
    onRequest,
    closing: closing.signal,
  })
  const server = listen({
    ...{ fetch: app.fetch, hostname: host, port, overrideGlobalObjects: false },
    serverOptions: { requestTimeout: 60_000, headersTimeout: 20_000 },
  }) as NodeServer
  await once(server, 'listening').catch((cause: NodeJS.ErrnoException) => {
    const [what, hint] = refusals[cause.code ?? ''] ?? [cause.message]
    throw new ReallmError('io', `${host}:${port}: ${what}`, { hint, cause })
  })
  const bound = (server.address() as AddressInfo).port
  return {
    url: `http://${isIP(host) === 6 ? `[${host}]` : host}:${bound}`,
    port: bound,
    async close({ grace = 30 } = {}) {
      closing.abort()
      const closed = once(server, 'close')
      server.close()
      const late = new ApiError(503, 'server_stopped', 'the server stops')
      const timer = setTimeout(() => stop.abort(late), 1000 * grace)
      await generator.idle()
      clearTimeout(timer)
      server.closeIdleConnections()
      const rest = setTimeout(() => server.closeAllConnections(), 1000)
      await closed
      clearTimeout(rest)
    },
  }
}

/** Why there is nothing to listen at, and what helps. */
const refusals: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  EADDRINUSE: ['the port is taken', 'choose another with --port'],
  EACCES: ['this port is for administrators', 'choose one from 1024 to 65535 with --port'],
  EADDRNOTAVAIL: ['this machine has no such address', 'take 127.0.0.1, or 0.0.0.0 for all addresses'],
  ENOTFOUND: ['there is no such host', 'take 127.0.0.1, or 0.0.0.0 for all addresses'],
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
