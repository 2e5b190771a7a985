import { once } from 'node:events'
import { basename, resolve } from 'node:path'
import type { Device } from '@reallm/runtime'
import { Command, Option } from 'commander'
import { type Io, warningsOn } from '../io.ts'
import { publicKeyOption, readKey } from '../key-file.ts'
import { deviceOption, parseNumber, parseSize, parseWhole } from '../options.ts'

interface Options {
  host: string
  port: number
  name?: string | undefined
  adapter?: string | undefined
  publicKey?: string | undefined
  device: Device
  threads?: number | undefined
  parallel: number
  queue: number
  context: number
  temperature: number
  timeout: number
  maxBody: number
  origin?: string[] | undefined
  log?: boolean | undefined
}

/** Where the key comes from: a command line is seen by all users of a machine. */
const keyName = 'REALLM_API_KEY'

/** `reallm serve <model>` */
export const serveCommand = (io: Io): Command =>
  new Command('serve')
    .description("Serve a model by OpenAI's API, until stopped with Ctrl-C.")
    .argument('<model>', 'directory, .gguf, artifact, hf:owner/name or npm:@scope/name')
    .option(
      '--host <address>',
      `address to listen at; any but this machine's own needs ${keyName}`,
      '127.0.0.1',
    )
    .option('--port <number>', 'port to listen at, 0 for a free one', parseWhole(0, 65_535), 8080)
    .option('--name <name>', 'what clients call the model (default: the last part of <model>)')
    .option('--adapter <dir>', 'LoRA, rsLoRA or DoRA adapter in PEFT layout')
    .option(...publicKeyOption)
    .addOption(deviceOption())
    .option('--threads <number>', 'threads that compute (default: 1)', parseWhole(1))
    .option('--parallel <number>', 'texts that are written at a time', parseWhole(1), 4)
    .option(
      '--queue <number>',
      'texts that may wait, before requests are refused with 429',
      parseWhole(0),
      64,
    )
    .option('--context <number>', 'tokens of a prompt and its answer, at most', parseWhole(2), 8192)
    .option('--temperature <number>', 'temperature of requests that name none', parseNumber(0, 2), 1)
    .option(
      '--timeout <seconds>',
      'seconds that an answer may take, waiting included',
      parseNumber(0.001, 1e6),
      600,
    )
    .addOption(
      new Option('--max-body <size>', 'size of a request, at most')
        .argParser(parseSize)
        .default(2 ** 20, '1MiB'),
    )
    .option('--origin <url...>', 'sites whose pages may ask, like https://example.com')
    .option('--log', 'a line on stderr for each request')
    .addHelpText(
      'after',
      `
Examples:
  $ reallm serve npm:@reallm/tiny
  $ reallm serve out/ --name my-model --adapter mine/ --parallel 8
  $ ${keyName}=$(openssl rand -hex 24) reallm serve out/ --host 0.0.0.0 --log
  $ curl localhost:8080/v1/chat/completions -H 'Content-Type: application/json' \\
      -d '{"messages": [{"role": "user", "content": "Hello"}], "stream": true}'

Routes: /v1/chat/completions, /v1/completions, /v1/models, /health, /metrics (Prometheus). Clients of OpenAI's API take
http://localhost:8080/v1 as their base URL, and what ${keyName} holds as their key. The first Ctrl-C lets answers that were
begun end.
`,
    )
    .action(async (spec: string, options: Options) => {
      const { loadModel } = await import('../load.ts')
      const { serve } = await import('@reallm/serve')
      const {
        adapter,
        publicKey: _,
        device,
        threads,
        queue,
        origin,
        log,
        name = nameOf(spec),
        ...rest
      } = options
      const loading = {
        signal: io.signal,
        onProgress: warningsOn(io),
        adapter,
        device,
        threads,
        publicKey: await readKey(options.publicKey),
      }
      const model = await loadModel(spec, loading)
      try {
        const server = await serve(model, {
          ...{ ...rest, name, waiting: queue, origins: origin },
          apiKey: process.env[keyName] || undefined,
          onError: error => io.err(`reallm: ${error instanceof Error ? error.stack : error}\n`),
          onRequest({ method, path, status, seconds }) {
            if (log) io.err(`${method} ${path} ${status} ${seconds.toFixed(2)} s\n`)
          },
        })
        io.err(`reallm: ${name} at ${server.url}/v1\n`)
        if (!io.signal.aborted) await once(io.signal, 'abort')
        io.err('reallm: answers that were begun may end; Ctrl-C again does not wait\n')
        await server.close()
      } finally {
        model.dispose()
      }
    })

/** `SmolLM2-135M` of `hf:HuggingFaceTB/SmolLM2-135M` and of `SmolLM2-135M.gguf`. */
const nameOf = (spec: string): string => basename(resolve(spec)).replace(/\.(gguf|safetensors)$/, '')
