import { spawnSync } from 'node:child_process'
import { load, type Model } from '@reallm/runtime'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { type ModelServer, serve } from './serve.ts'

let model: Model
let server: ModelServer
let client: OpenAI
const clientOf = (url: string, apiKey = 'none') => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 })
const say = (content: string) => [{ role: 'user' as const, content }]

beforeAll(async () => {
  model = await load('npm:@reallm/tiny')
  server = await serve(model, { port: 0, name: 'tiny' })
  client = clientOf(server.url)
})
afterAll(async () => {
  await server.close()
  model.dispose()
})

/** What the model says by itself. */
async function alone(text: string, options: object): Promise<string> {
  const ids = model.tokenizer!.encode(model.tokenizer!.chat(say(text)))
  return model.generate(ids, { maxTokens: 20, temperature: 1, ...options }).text()
}

describe('the openai client', () => {
  it('lists the model', async () => {
    const { data } = await client.models.list()
    expect(data).toEqual([{ id: 'tiny', object: 'model', created: expect.any(Number), owned_by: 'reallm' }])
    expect(await client.models.retrieve('tiny')).toMatchObject({ id: 'tiny' })
    await expect(client.models.retrieve('gpt-4')).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
    })
  })

  it('gets what the model says by itself, whole and as a stream', async () => {
    const request = { model: 'tiny', messages: say('Tell me of the sea.'), max_tokens: 20, seed: 5 }
    const whole = await client.chat.completions.create(request)
    const text = await alone('Tell me of the sea.', { seed: 5 })
    expect(whole).toMatchObject({
      object: 'chat.completion',
      model: 'tiny',
      choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'length' }],
      usage: { completion_tokens: 20 },
    })
    expect(whole.usage!.total_tokens).toBe(whole.usage!.prompt_tokens + 20)

    const stream = await client.chat.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    })
    let streamed = ''
    const reasons: unknown[] = []
    let usage: unknown
    for await (const chunk of stream) {
      streamed += chunk.choices[0]?.delta.content ?? ''
      reasons.push(chunk.choices[0]?.finish_reason)
      usage = chunk.usage
    }
    expect(streamed).toBe(text)
    expect(reasons.filter(Boolean)).toEqual(['length'])
    expect(usage).toEqual(whole.usage)
  })

  it('gets several answers, each of its own seed', async () => {
    const { choices, usage } = await client.chat.completions.create({
      model: 'tiny',
      messages: say('And of the ship?'),
      max_completion_tokens: 20,
      n: 3,
      seed: 8,
    })
    for (const [i, { message }] of choices.entries())
      expect(message.content).toBe(await alone('And of the ship?', { seed: 8 + i }))
    expect(usage!.completion_tokens).toBe(60)
    expect(usage!.prompt_tokens).toBeLessThan(40)
  })

  it('ends at stop strings, and at what ends a text', async () => {
    const ask = (options: object) =>
      client.completions.create({ model: 'tiny', prompt: 'It was the', temperature: 0, ...options })
    const long = await ask({ max_tokens: 30 })
    const stop = long.choices[0].text.slice(9, 13)
    const short = await ask({ max_tokens: 30, stop })
    expect(short.choices[0]).toMatchObject({
      text: long.choices[0].text.slice(0, long.choices[0].text.indexOf(stop)),
      finish_reason: 'stop',
    })
    expect(short.usage!.completion_tokens).toBeLessThan(30)
    expect((await ask({})).usage!.completion_tokens).toBe(16)
  })

  it('completes several prompts, texts and token ids', async () => {
    const prompts = ['It was the', 'The whale']
    const ids = prompts.map(prompt => model.tokenizer!.encode(prompt, { special: true }))
    const request = { model: 'tiny', max_tokens: 6, temperature: 0, n: 2 }
    const texts = await client.completions.create({ ...request, prompt: prompts })
    expect(texts.choices.map(choice => choice.index)).toEqual([0, 1, 2, 3])
    expect(texts.usage!.prompt_tokens).toBe(ids.flat().length)
    const again = await client.completions.create({ ...request, prompt: ids })
    expect(again.choices).toEqual(texts.choices)
    for (const [p, prompt] of prompts.entries()) {
      const text = await model.generate(prompt, { maxTokens: 6 }).text()
      expect(texts.choices.slice(2 * p, 2 * p + 2).map(choice => choice.text)).toEqual([text, text])
    }
  })

  it('is told how likely tokens were', async () => {
    const request = {
      model: 'tiny',
      messages: say('Hello'),
      max_tokens: 5,
      logprobs: true,
      top_logprobs: 3,
      seed: 1,
    }
    const { choices } = await client.chat.completions.create(request)
    const tokens = choices[0].logprobs!.content!
    expect(tokens.map(({ token }) => token).join('')).toBe(choices[0].message.content)
    expect(tokens).toHaveLength(5)
    const ids = model.tokenizer!.encode(model.tokenizer!.chat(say('Hello')))
    const session = model.session()
    const logits = await session.feed(ids)
    session.dispose()
    const best = Math.max(...logits)
    const all = best + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - best), 0))
    expect(tokens[0].top_logprobs[0].logprob).toBeCloseTo(best - all, 5)
    for (const { logprob, top_logprobs, token, bytes } of tokens) {
      expect(top_logprobs).toHaveLength(3)
      expect(Buffer.from(bytes!).toString()).toBe(token)
      expect(top_logprobs[0].logprob).toBeGreaterThanOrEqual(logprob)
    }
    const { choices: plain } = await client.completions.create({
      ...{ model: 'tiny', prompt: 'The', max_tokens: 3, logprobs: 2, temperature: 0 },
    })
    const { tokens: names, text_offset, token_logprobs, top_logprobs } = plain[0].logprobs!
    expect(names!.join('')).toBe(plain[0].text)
    expect(text_offset).toEqual([0, names![0].length, names![0].length + names![1].length])
    expect(top_logprobs!.map((top, i) => top[names![i]])).toEqual(token_logprobs)
  })

  it('gets JSON of a schema', async () => {
    const schema = z.strictObject({
      kind: z.enum(['whale', 'ship']),
      length: z.int().min(1).max(99),
      names: z.array(z.string().max(6)).max(2),
      alive: z.boolean().optional(),
    })
    for (const seed of [1, 2, 3]) {
      const { choices } = await client.chat.completions.create({
        ...{ model: 'tiny', messages: say('Describe it.'), seed, max_tokens: 150 },
        response_format: { type: 'json_schema', json_schema: { name: 'it', schema: z.toJSONSchema(schema) } },
      })
      expect(choices[0].finish_reason).toBe('stop')
      schema.parse(JSON.parse(choices[0].message.content!))
    }
    const { choices } = await client.chat.completions.create({
      ...{ model: 'tiny', messages: say('Describe it.'), seed: 1, max_tokens: 20 },
      response_format: { type: 'json_object' },
    })
    expect(choices[0].message.content).toMatch(/^\{\s*["}]/)
  })

  it('gets calls of functions without parameters, and what was written of a call that is cut', async () => {
    const ask = (options: object, parameters?: Record<string, unknown>) => {
      const tools = [
        { type: 'function' as const, function: { name: 'f', ...(parameters && { parameters }) } },
      ]
      return client.chat.completions.create({
        ...{ model: 'tiny', messages: say('Go.'), tools, tool_choice: 'required', seed: 1, ...options },
        stream: false,
      })
    }
    const { choices } = await ask({ max_tokens: 80 })
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { content: null, tool_calls: [{ function: { name: 'f', arguments: '{}' } }] },
    })
    const cut = await ask(
      { max_tokens: 40 },
      { type: 'object', properties: { text: { type: 'string', minLength: 500 } }, required: ['text'] },
    )
    expect(cut.choices[0]).toMatchObject({
      finish_reason: 'length',
      message: { content: null, tool_calls: [{ function: { arguments: expect.stringMatching(/^\{/) } }] },
    })
    const short = await ask({ max_tokens: 2 })
    expect(short.choices[0]).toMatchObject({ finish_reason: 'length', message: { content: null } })
  })

  it('gets calls of tools', async () => {
    const parameters = z.toJSONSchema(z.strictObject({ knots: z.int().min(0).max(30) }))
    const tools = [{ type: 'function' as const, function: { name: 'sail', parameters: { ...parameters } } }]
    const request = {
      model: 'tiny',
      messages: say('Go.'),
      tools,
      tool_choice: 'required' as const,
      seed: 3,
      max_tokens: 80,
    }
    const { choices } = await client.chat.completions.create(request)
    expect(choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } })
    const [call] = choices[0].message.tool_calls!
    if (call.type !== 'function') throw new Error(call.type)
    expect(call.function.name).toBe('sail')
    expect(JSON.parse(call.function.arguments).knots).toBeLessThanOrEqual(30)

    const stream = client.chat.completions.stream(request)
    const final = await stream.finalChatCompletion()
    expect(final.choices[0].message.tool_calls).toMatchObject([
      { function: { arguments: call.function.arguments } },
    ])

    const answered = await client.chat.completions.create({
      ...{ model: 'tiny', max_tokens: 3, tools, tool_choice: 'none' },
      messages: [
        ...say('Go.'),
        { role: 'assistant', content: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: call.id, content: 'gone' },
      ],
    })
    expect(answered.choices[0].finish_reason).toBe('length')
  })
})

describe('curl', () => {
  const curl = (...args: string[]) => spawnSync('curl', ['-sS', '-m', '20', ...args], { encoding: 'utf8' })

  it.skipIf(curl('--version').status !== 0)('sees events, health and metrics', async () => {
    // spawnSync would keep the server, which is in this process, from answering
    const { execFile } = await import('node:child_process')
    const { promisify } = await import('node:util')
    const run = async (...args: string[]) =>
      (await promisify(execFile)('curl', ['-sS', '-m', '20', ...args])).stdout
    const body = JSON.stringify({ prompt: 'The', max_tokens: 3, stream: true, temperature: 0 })
    const events = await run(
      '-N',
      '-H',
      'content-type: application/json',
      '-d',
      body,
      `${server.url}/v1/completions`,
    )
    const lines = events.trim().split('\n\n')
    expect(lines.at(-1)).toBe('data: [DONE]')
    const chunks = lines.slice(0, -1).map(line => JSON.parse(line.replace(/^data: /, '')))
    expect(chunks.every(({ object }) => object === 'text_completion')).toBe(true)
    expect(chunks.at(-1).choices[0].finish_reason).toBe('length')
    expect(JSON.parse(await run(`${server.url}/health`))).toEqual({
      status: 'ok',
      model: 'tiny',
      running: 0,
      waiting: 0,
    })
    const metrics = await run(`${server.url}/metrics`)
    expect(metrics).toMatch(/^reallm_requests_total\{route="\/v1\/completions",status="200"\} \d+$/m)
    expect(metrics).toMatch(/^reallm_generated_tokens_total [1-9]\d*$/m)
    expect(metrics).toMatch(/^reallm_model_bytes [1-9]\d*$/m)
  })
})
