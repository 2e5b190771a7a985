import { request } from 'node:http'
import { connect } from 'node:net'
import { load, type Model } from '@reallm/runtime'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { type ModelServer, type ServeOptions, serve } from './serve.ts'

let model: Model
let server: ModelServer
beforeAll(async () => {
  model = await load('npm:@reallm/tiny')
})
afterAll(() => model.dispose())
afterEach(() => server.close({ grace: 0 }))

const start = async (options: ServeOptions = {}) => {
  server = await serve(model, { port: 0, ...options })
}
const long = { prompt: 'It was the', max_tokens: 200, temperature: 0 }
const post = (body: unknown, headers: Record<string, string> = {}, signal?: AbortSignal) =>
  fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    signal: signal ?? null,
  })
const refusal = async (response: Response) => {
  const { error } = (await response.json()) as { error: Record<string, unknown> }
  expect(Object.keys(error)).toEqual(['message', 'type', 'param', 'code'])
  return { ...error, status: response.status }
}
const health = async () => (await fetch(`${server.url}/health`)).json()

describe('who may ask', () => {
  it('is whoever has the key', async () => {
    await start({ apiKey: 'secret' })
    for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: 'secret' }]) {
      const response = await post(long, headers)
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/)
      expect(await refusal(response)).toMatchObject({ code: 'invalid_api_key' })
    }
    expect((await fetch(`${server.url}/metrics`)).status).toBe(401)
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
    expect((await post({ ...long, max_tokens: 1 }, { authorization: 'Bearer secret' })).status).toBe(200)
  })

  it('is nobody else where others reach the machine', async () => {
    await start()
    await expect(serve(model, { host: '0.0.0.0' })).rejects.toMatchObject({ code: 'bad-option' })
    await expect(serve(model, { port: server.port })).rejects.toThrow('the port is taken')
  })

  it('is told to whoever starts a server that nobody could use', async () => {
    await start()
    for (const apiKey of ['', 'two words', 'line\n', 'schlüssel']) {
      await expect(serve(model, { apiKey, port: 0 })).rejects.toThrow('that no client can send')
    }
    await expect(serve(model, { host: '127.evil.example' })).rejects.toThrow('anybody who reaches')
    await expect(serve(model, { name: ' ' })).rejects.toThrow('the name of the model is empty')
    for (const origin of ['*', 'null', 'example.com', 'https://example.com/']) {
      await expect(serve(model, { origins: [origin] })).rejects.toThrow('is no origin')
    }
  })

  it('is no page of another site', async () => {
    await start({ origins: ['https://mine.example', 'app://mine'] })
    expect((await refusal(await post(long, { 'content-type': 'text/plain' }))).status).toBe(415)
    const named = new Promise<number | undefined>(resolve => {
      const { port } = server
      request({ host: '127.0.0.1', port, path: '/health', headers: { host: 'evil.example' } }, response =>
        resolve(response.resume().statusCode),
      ).end()
    })
    expect(await named).toBe(403)
    const asked = async (origin: string) => {
      const { status, headers } = await post({ ...long, max_tokens: 1 }, { origin })
      return [status, headers.get('access-control-allow-origin')]
    }
    expect(await asked('https://mine.example')).toEqual([200, 'https://mine.example'])
    expect(await asked('app://mine')).toEqual([200, 'app://mine'])
    expect(await asked(server.url)).toEqual([200, null])
    for (const origin of ['https://evil.example', 'http://localhost:1', 'null']) {
      expect(await asked(origin)).toEqual([403, null])
    }
    const url = `${server.url}/v1/completions`
    const preflight = (origin: string) => fetch(url, { method: 'OPTIONS', headers: { origin } })
    expect((await preflight('https://mine.example')).status).toBe(204)
    expect(await refusal(await preflight('https://evil.example'))).toMatchObject({
      ...{ status: 403, code: 'forbidden_origin', message: expect.stringContaining('--origin') },
    })
  })
})

describe('what is refused', () => {
  it.each([
    ['{', 'invalid_json', null],
    [{ ...long, max_tokens: 0 }, 'invalid_value', 'max_tokens'],
    [{ ...long, temperature: 'hot' }, 'invalid_value', 'temperature'],
    [{ ...long, logit_bias: { 5: 100 } }, 'unsupported_parameter', 'logit_bias.5'],
    [{ ...long, frequency_penalty: 1 }, 'unsupported_parameter', 'frequency_penalty'],
    [{ ...long, echo: true }, 'unsupported_parameter', 'echo'],
    [{ ...long, suffix: 'end' }, 'unsupported_parameter', 'suffix'],
    [{ ...long, best: 3 }, 'unsupported_parameter', 'best'],
    [{ ...long, model: 'gpt-4' }, 'model_not_found', 'model'],
    [{ ...long, prompt: [9999] }, 'invalid_value', 'prompt'],
    [{ ...long, prompt: '' }, 'invalid_value', 'prompt'],
    [{ ...long, prompt: 'a b c d '.repeat(100) }, 'context_length_exceeded', 'prompt'],
    [{ ...long, repetition_penalty: 1e-300 }, 'invalid_value', 'repetition_penalty'],
    [[], 'invalid_value', null],
  ])('%j', async (body, code, param) => {
    await start()
    expect(await refusal(await post(body))).toMatchObject({ type: 'invalid_request_error', code, param })
    expect(await health()).toMatchObject({ running: 0, waiting: 0 })
  })

  it('messages, tools and schemas that cannot be heeded', async () => {
    await start()
    const askText = async (body: string) => {
      const headers = { 'content-type': 'application/json' }
      return refusal(await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers, body }))
    }
    const messages = [{ role: 'user', content: 'Hi' }]
    const ask = (body: object) => askText(JSON.stringify({ messages, ...body }))
    const image = { type: 'image_url', image_url: { url: 'data:' } }
    expect(await ask({ messages: [{ role: 'user', content: [image] }] })).toMatchObject({
      param: 'messages.0.content',
    })
    expect(await ask({ messages: [{ role: 'poet', content: '' }] })).toMatchObject({
      param: 'messages.0.role',
    })
    expect(await ask({ tool_choice: 'required' })).toMatchObject({ param: 'tool_choice' })
    expect(await ask({ top_logprobs: 2 })).toMatchObject({ status: 400, param: 'top_logprobs' })
    const schema = (schema: unknown) => ({
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
    })
    expect(await ask(schema({ type: 'string', pattern: 'a' }))).toMatchObject({
      status: 400,
      code: 'unsupported',
    })
    const [inner, depth] = [JSON.stringify({ messages, ...schema({ const: 'DEEP' }) }), 100_000]
    const deep = inner.replace('"DEEP"', `${'['.repeat(depth)}${']'.repeat(depth)}`)
    expect(await askText(deep)).toMatchObject({ status: 400, code: 'invalid_value' })
    expect(await health()).toMatchObject({ status: 'ok', running: 0 })
  })

  it('a prompt that is far too long, before all of it is looked at', async () => {
    await start()
    const refused = await refusal(await post({ ...long, prompt: 'a'.repeat(1_000_000) }))
    expect(refused).toMatchObject({
      code: 'context_length_exceeded',
      message: expect.stringContaining('has more tokens than the context of'),
    })
  })

  it('bodies that are too large', async () => {
    await start({ maxBody: 1000 })
    expect(await refusal(await post({ ...long, user: 'x'.repeat(1000) }))).toMatchObject({ status: 413 })
  })

  it('bodies of unknown length that are too large, and no others', async () => {
    const errors: unknown[] = []
    const statuses: number[] = []
    await start({
      maxBody: 1000,
      onError: error => errors.push(error),
      onRequest: ({ status }) => statuses.push(status),
    })
    const send = (text: string) =>
      fetch(`${server.url}/v1/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: new Blob([text]).stream(),
        ...{ duplex: 'half' },
      })
    const body = JSON.stringify({ ...long, max_tokens: 1 })
    expect((await send(body)).status).toBe(200)
    expect(await refusal(await send(body + ' '.repeat(1000)))).toMatchObject({ status: 413 })
    const half = connect(server.port, '127.0.0.1')
    half.write('POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n')
    half.end('Content-Length: 100\r\n\r\n{"prompt":')
    await vi.waitFor(() => expect(statuses).toEqual([200, 413, 499]))
    expect(errors).toEqual([])
  })

  it('what is not there', async () => {
    await start()
    expect(await refusal(await fetch(`${server.url}/v1/embeddings`))).toMatchObject({
      status: 404,
      code: 'not_found',
    })
    const response = await fetch(`${server.url}/v1/completions`)
    expect(response.headers.get('allow')).toBe('POST')
    expect(await refusal(response)).toMatchObject({ status: 405, code: 'method_not_allowed' })
  })
})

describe('too much at once', () => {
  it('is to be asked for later', async () => {
    await start({ parallel: 2, waiting: 1 })
    const response = await post({ ...long, n: 4 })
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(await refusal(response)).toMatchObject({
      status: 429,
      type: 'rate_limit_error',
      code: 'rate_limit_exceeded',
    })
    const streamed = await post({ ...long, n: 4, stream: true })
    expect(streamed.status).toBe(429)
    const { choices } = (await (await post({ ...long, max_tokens: 5, n: 3 })).json()) as {
      choices: { text: string }[]
    }
    expect(new Set(choices.map(({ text }) => text)).size).toBe(1)
  })

  it('waits its turn', async () => {
    await start({ parallel: 1, waiting: 20 })
    const prompts = ['It was the', 'The whale', 'A ship', 'Call me']
    const answers = await Promise.all(prompts.map(prompt => post({ ...long, prompt, max_tokens: 30 })))
    for (const [i, answer] of answers.entries()) {
      const { choices } = (await answer.json()) as { choices: { text: string }[] }
      expect(choices[0].text).toBe(await model.generate(prompts[i], { maxTokens: 30 }).text())
    }
  })

  it('takes no longer than allowed', async () => {
    await start({ timeout: 0.05 })
    expect(await refusal(await post({ ...long, n: 16 }))).toMatchObject({
      status: 504,
      type: 'timeout_error',
    })
    const events = await (await post({ ...long, n: 16, stream: true })).text()
    expect(events).toMatch(/data: \{"error":\{"message":"the answer took more than 0.05 s[^\n]*\}\n\n$/)
    await vi.waitFor(async () => expect(await health()).toMatchObject({ running: 0, waiting: 0 }))
  })
})

describe('an end', () => {
  it.each([true, false])('when the client leaves gives back what it took, streamed: %s', async stream => {
    const statuses: number[] = []
    await start({ onRequest: ({ status, path }) => path.startsWith('/v1') && statuses.push(status) })
    await post({ ...long, max_tokens: 1, n: 4 })
    const before = model.bytes
    const leave = new AbortController()
    const answer = post({ ...long, n: 16, stream }, {}, leave.signal)
    await vi.waitFor(async () => expect(await health()).toMatchObject({ running: 4 }))
    leave.abort()
    await expect(answer.then(response => response.text())).rejects.toThrow()
    await vi.waitFor(async () => expect(await health()).toMatchObject({ running: 0, waiting: 0 }))
    await vi.waitFor(() => expect(statuses).toEqual([200, 499]))
    expect(model.bytes).toBe(before)
  })

  it('when the client takes nothing gives back what it took', async () => {
    const statuses: number[] = []
    await start({
      patience: 0.2,
      onRequest: ({ status, path }) => path.startsWith('/v1') && statuses.push(status),
    })
    await post({ ...long, max_tokens: 1, n: 4 })
    const before = model.bytes
    const messages = [{ role: 'user', content: 'Hi' }]
    const likely = { logprobs: true, top_logprobs: 20 }
    const body = JSON.stringify({ messages, n: 16, max_tokens: 200, stream: true, ...likely })
    const client = connect(server.port, '127.0.0.1').pause()
    client.on('error', () => {})
    client.write(
      'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n',
    )
    client.write(`Content-Length: ${body.length}\r\n\r\n${body}`)
    await vi.waitFor(() => expect(statuses).toEqual([200, 499]), 20_000)
    await vi.waitFor(async () => expect(await health()).toMatchObject({ running: 0, waiting: 0 }))
    expect(model.bytes).toBe(before)
    client.destroy()
  })

  it('of the server comes after the answers that were begun', async () => {
    await start()
    const answer = await post({ ...long, stream: true })
    const closed = server.close()
    await expect(post(long)).rejects.toThrow()
    expect(await answer.text()).toMatch(/\[DONE\]\n\n$/)
    await closed
  })

  it('of the server does not wait for ever', async () => {
    await start()
    const answer = await post({ ...long, n: 16, stream: true })
    await server.close({ grace: 0.01 })
    expect(await answer.text()).toContain('"code":"server_stopped"')
  })
})
