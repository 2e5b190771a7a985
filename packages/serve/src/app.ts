import { Hono } from 'hono'
import { bearerAuth } from 'hono/bearer-auth'
import { cors } from 'hono/cors'
import { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Answered } from './answered.ts'
import type { Env, Service } from './api/answer.ts'
import { chat } from './api/chat.ts'
import { completions } from './api/completions.ts'
import { ApiError, asApiError } from './errors.ts'

/** Who may ask, and how much. */
export interface Access {
  readonly apiKey: string | undefined
  /** Names that requests have to call the server by; undefined for any. */
  readonly hosts: readonly string[] | undefined
  /** Origins whose pages may ask. */
  readonly origins: readonly string[]
  readonly onRequest: (answered: Answered) => void
  /** Fires when no more requests are taken. */
  readonly closing: AbortSignal
}

const json = (
  c: { json(body: unknown, status: ContentfulStatusCode): Response },
  error: ApiError,
): Response => {
  const response = c.json(error.body, error.status as ContentfulStatusCode)
  if (error.retryAfter !== undefined) response.headers.set('Retry-After', String(error.retryAfter))
  return response
}

/** The routes that are measured, with the methods that they take. */
const routes: ReadonlyMap<string, string> = new Map([
  ['/v1/chat/completions', 'POST'],
  ['/v1/completions', 'POST'],
  ['/v1/models', 'GET, HEAD'],
  ['/health', 'GET, HEAD'],
  ['/metrics', 'GET, HEAD'],
])

/** The routes of the API. */
export function createApp(service: Service, access: Access): Hono<Env> {
  const { generator, metrics, name } = service
  const { apiKey, hosts, origins, onRequest, closing } = access
  const created = Math.floor(Date.now() / 1000)
  const app = new Hono<Env>()
  app.onError((error, c) => {
    if (error instanceof HTTPException) return error.getResponse()
    const failure = asApiError(error)
    if (failure.status === 500) service.onError(error)
    return json(c, failure)
  })
  app.notFound(c => {
    const { method, path } = c.req
    const allowed = routes.get(path)
    if (allowed === undefined)
      return json(c, new ApiError(404, 'not_found', `${method} ${path}: there is no such route`))
    c.header('Allow', allowed)
    return json(c, new ApiError(405, 'method_not_allowed', `${method} ${path}: this route takes ${allowed}`))
  })

  app.use(async (c, next) => {
    const start = performance.now()
    await next()
    const { method, path } = c.req
    const record = (status: number) => {
      const seconds = (performance.now() - start) / 1000
      const route = routes.has(path) ? path : 'other'
      metrics.requests.inc({ route, status })
      metrics.seconds.observe({ route }, seconds)
      onRequest({ method, path, status, seconds })
    }
    const streamed = c.get('streamed')
    if (streamed) streamed.then(record)
    else record(c.res.status)
  })
  app.use(async (c, next) => {
    // a page of any site could reach this server under a name of its own
    const { hostname, host: own } = new URL(c.req.url)
    const host = hostname.toLowerCase()
    if (hosts && !hosts.includes(host)) {
      throw new ApiError(403, 'forbidden_host', `${host}: this server goes by ${hosts.join(', ')}`)
    }
    const origin = c.req.header('origin')
    const isOwn = origin === undefined || (URL.canParse(origin) && new URL(origin).host === own)
    if (!isOwn && !origins.includes(origin)) {
      throw new ApiError(403, 'forbidden_origin', `${origin}: pages of other sites may not ask`, {
        hint: 'let this one with --origin, or the option origins',
      })
    }
    await next()
  })
  if (origins.length > 0) app.use(cors({ origin: [...origins] }))
  app.get('/health', c => {
    const { running, waiting } = generator
    return c.json(
      { status: closing.aborted ? 'stopping' : 'ok', model: name, running, waiting },
      closing.aborted ? 503 : 200,
    )
  })
  if (apiKey !== undefined) {
    const wrong = { message: new ApiError(401, 'invalid_api_key', 'the API key is missing or wrong').body }
    const messages = {
      noAuthenticationHeader: wrong,
      invalidAuthenticationHeader: wrong,
      invalidToken: wrong,
    }
    app.use(bearerAuth({ token: apiKey, ...messages }))
  }
  app.get('/metrics', async c => {
    const { text, type } = await metrics.text()
    return c.body(text, 200, { 'Content-Type': type })
  })
  const model = { id: name, object: 'model', created, owned_by: 'reallm' }
  app.get('/v1/models', c => c.json({ object: 'list', data: [model] }))
  app.get('/v1/models/:id{.+}', c => {
    generator.checkModel(name, c.req.param('id'))
    return c.json(model)
  })
  app.use(async (_, next) => {
    if (closing.aborted) throw new ApiError(503, 'server_stopping', 'the server stops', { retryAfter: 10 })
    await next()
  })
  app.post('/v1/chat/completions', c => chat(c, service))
  app.post('/v1/completions', c => completions(c, service))
  return app
}
