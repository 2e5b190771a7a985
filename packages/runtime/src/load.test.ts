import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openModel, type ProgressEvent, random } from '@reallm/tensor-io'
import { fixture } from '@reallm/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DraftedSession } from './drafted-session.ts'
import { load, type Model } from './index.ts'

const tiny = fileURLToPath(new URL('../../tiny/model', import.meta.url))
const prompt = 'It was the best of times, and'
let model: Model

beforeAll(async () => {
  model = await load(tiny, { weights: 'f32' })
})
afterAll(() => model.dispose())

describe('generate', () => {
  it('goes on with a text, the same way in every form that holds the weights', async () => {
    const generation = model.generate(prompt, { maxTokens: 12 })
    const pieces: string[] = []
    for await (const piece of generation) pieces.push(piece)
    const text = pieces.join('')
    expect(pieces.length).toBeGreaterThan(3)
    expect(text.trim().length).toBeGreaterThan(5)
    const { report } = generation
    expect(report).toMatchObject({ reusedTokens: 0, reason: 'length' })
    expect(report.tokens.length).toBe(12)
    expect(model.tokenizer!.decode(report.tokens)).toBe(text)

    const threaded = await load(tiny, { threads: 2 })
    expect([threaded.weights, threaded.threads]).toEqual(['expanded', 2])
    expect(await threaded.generate(prompt, { maxTokens: 12 }).text()).toBe(text)
    threaded.dispose()
  })

  it('frees what it took', async () => {
    const before = model.bytes
    await model.generate(prompt, { maxTokens: 2 }).text()
    for await (const _ of model.generate(prompt)) break
    expect(model.bytes).toBe(before)
  })

  it('takes no memory for what nobody reads, and gives back what fails', async () => {
    const before = model.bytes
    for (let i = 0; i < 3; i++) model.generate(prompt)
    const unread = model.generate(prompt)[Symbol.asyncIterator]()
    await unread.return?.()
    expect(await unread.next()).toEqual({ done: true, value: undefined })
    await expect(model.generate([]).text()).rejects.toThrow('no tokens to read')
    await expect(model.generate(prompt, { signal: AbortSignal.abort() }).text()).rejects.toMatchObject({
      code: 'aborted',
    })
    expect(model.bytes).toBe(before)
  })

  it('gives its memory back at the end of the scope that uses it', async () => {
    const before = model.bytes
    {
      using session = model.session()
      await session.feed([1, 2, 3])
      using chat = model.chat({ maxTokens: 2 })
      await chat.send('Hello').text()
      expect(model.bytes).toBeGreaterThan(before)
    }
    expect(model.bytes).toBe(before)
    using other = await load(tiny)
    expect(await other.generate(prompt, { maxTokens: 1 }).text()).not.toBe('')
  })

  it('repeats itself with the same seed and differs with another', async () => {
    const draw = (seed: number) => model.generate(prompt, { maxTokens: 12, temperature: 1, seed }).text()
    expect(await draw(1)).toBe(await draw(1))
    expect(await draw(1)).not.toBe(await draw(2))
  })

  it('leaves stop strings out, wherever tokens cut them', async () => {
    const whole = await model.generate(prompt, { maxTokens: 30 }).text()
    const stop = whole.slice(8, 13)
    for (const stops of [stop, ['no such text', stop]]) {
      const stopped = model.generate(prompt, { maxTokens: 30, stop: stops })
      const text = await stopped.text()
      expect(text).toBe(whole.slice(0, whole.indexOf(stop)))
      expect(stopped.report.reason).toBe('stop')
      expect(await stopped.text()).toBe(text)
    }
  })

  it('keeps texts apart that are made at the same time', async () => {
    const prompts = [prompt, 'The whale', 'Call me']
    const alone: string[] = []
    for (const text of prompts) alone.push(await model.generate(text, { maxTokens: 6 }).text())
    expect(new Set(alone).size).toBe(3)
    const together = prompts.map(text => model.generate(text, { maxTokens: 6 }).text())
    expect(await Promise.all(together)).toEqual(alone)
  })

  it('stops on request, before and between tokens', async () => {
    const controller = new AbortController()
    const generation = model.generate(prompt, { signal: controller.signal, maxTokens: 100 })
    const pieces: string[] = []
    const reading = (async () => {
      for await (const piece of generation) if (pieces.push(piece) === 2) controller.abort()
    })()
    await expect(reading).rejects.toMatchObject({ code: 'aborted' })
    expect(pieces.length).toBeLessThan(4)
    const late = model.generate(prompt, { signal: controller.signal }).text()
    await expect(late).rejects.toMatchObject({ code: 'aborted' })
  })

  it('reads a prompt in batches as it reads it token by token', async () => {
    const ids = model.tokenizer!.encode('The sea was calm and the ship went on. '.repeat(12)).slice(0, 150)
    const [whole, single] = [model.session(), model.session()]
    const all = await whole.logits(ids)
    const vocab = model.config.vocabSize
    for (const [t, id] of ids.entries()) {
      const logits = await single.next(id)
      if (t % 37 === 0) {
        const worst = logits.reduce((w, v, i) => Math.max(w, Math.abs(v - all[t * vocab + i])), 0)
        expect(worst).toBeLessThan(1e-3)
      }
    }
    whole.dispose()
    single.dispose()
  })

  it.each([
    [[], 'no tokens to read'],
    [[99_999], 'token 99999 is not in the model'],
    [Array(300).fill(5), '300 tokens do not fit the model'],
  ])('refuses what it cannot read: %#', async (ids, message) => {
    await expect(model.generate(ids).text()).rejects.toThrow(message)
  })
})

describe('draft', () => {
  it('writes the very text greedily, and draws from it reproducibly, in fewer steps', async () => {
    using draft = await load(tiny, { weights: 'int8' })
    await draft.generate(prompt, { maxTokens: 2 }).text()
    const before = [model.bytes, draft.bytes]
    const options = { maxTokens: 40 }
    const plain = await model.generate(prompt, options).text()
    for (const draftTokens of [1, 4, 7]) {
      expect(await model.generate(prompt, { ...options, draft, draftTokens }).text()).toBe(plain)
    }
    const drawn = { ...options, temperature: 0.8, topK: 40, seed: 3, draft }
    const text = await model.generate(prompt, drawn).text()
    expect(await model.generate(prompt, drawn).text()).toBe(text)
    expect([model.bytes, draft.bytes]).toEqual(before)

    using session = model.session()
    using drafting = draft.session()
    const steps = new DraftedSession(session, drafting, 4)
    const ids = model.tokenizer!.encode(prompt)
    const first = await steps.draw(ids, { random: random(1), count: 5 })
    expect(first.length).toBeGreaterThan(2)
    expect(session.tokens).toEqual([...ids, ...first.slice(0, -1)])
  })

  it('ends where the text ends, and goes on in a session', async () => {
    using draft = await load(tiny)
    using session = model.session()
    const stop = [(await model.generate(prompt, { maxTokens: 12 }).text()).slice(9, 13)]
    const options = { maxTokens: 30, stop }
    const plain = model.generate(prompt, options)
    const drafted = model.generate(prompt, { ...options, draft, session })
    expect(await drafted.text()).toBe(await plain.text())
    expect(drafted.report.tokens).toEqual(plain.report.tokens)
    expect(session.tokens.length).toBe(drafted.report.promptTokens + drafted.report.tokens.length)
    expect(
      (await model.generate(Array(250).fill(5), { draft, maxTokens: 30 }).text()).length,
    ).toBeGreaterThan(0)
  })

  it('refuses a device that there is not', async () => {
    await expect(load(tiny, { device: 'cuda' as 'wasm' })).rejects.toMatchObject({
      code: 'bad-option',
      message: 'there is no device cuda',
    })
  })

  it('refuses a model of another vocabulary, and one that cannot take tokens back', async () => {
    using draft = await load(fixture('models/llama-gqa-tied'), { tokenizer: false })
    expect(() => model.generate(prompt, { draft })).toThrow(/a vocabulary of 320 tokens, this one of 2048/)
    using recurrent = await load(fixture('models/lfm2'), { tokenizer: false })
    expect(() => model.generate(prompt, { draft: recurrent })).toThrow(/a short-conv cannot take tokens back/)
  })
})

describe('chat', () => {
  it('reads only what is new at each turn, and keeps conversations apart', async () => {
    const [first, second] = [model.chat({ maxTokens: 8 }), model.chat({ system: 'Be brief.', maxTokens: 8 })]
    const one = first.send('Hello').text()
    expect(() => first.send('again')).toThrow('the last answer is still coming')
    const [answer] = await Promise.all([one, second.send('Good day').text()])
    const next = first.send('And then?')
    await next.text()
    expect(first.messages.map(message => message.role)).toEqual(['user', 'assistant', 'user', 'assistant'])
    expect(first.messages[1].content).toBe(answer)
    expect(next.report.reusedTokens).toBeGreaterThan(5)
    expect(second.messages[0]).toEqual({ role: 'system', content: 'Be brief.' })

    const alone = model.chat({ messages: first.messages.slice(0, 2), maxTokens: 8 }).send('And then?')
    expect(await alone.text()).toBe(first.messages[3].content)
  })

  it('goes on when an answer is dropped before it starts, and takes no memory for it', async () => {
    const before = model.bytes
    const chat = model.chat({ maxTokens: 4 })
    const dropped = chat.send('Hello')
    await chat.send('Hello')[Symbol.asyncIterator]().return?.()
    expect([chat.messages, model.bytes]).toEqual([[], before])
    const answer = await chat.send('Good day').text()
    expect(chat.messages.map(({ content }) => content)).toEqual(['Good day', answer])
    // asked for late, it answers what was said by then
    const late = await dropped.text()
    expect(chat.messages.map(({ content }) => content)).toEqual(['Good day', answer, 'Hello', late])
    chat.dispose()
    expect(model.bytes).toBe(before)
  })

  it('is as it was before an answer that is left, aborted or fails', async () => {
    using chat = model.chat({ maxTokens: 8 })
    const answer = await chat.send('Hello').text()
    const messages = [...chat.messages]
    const controller = new AbortController()
    const aborted = (async () => {
      for await (const _ of chat.send('And then?', { signal: controller.signal })) controller.abort()
    })()
    await expect(aborted).rejects.toMatchObject({ code: 'aborted' })
    expect(chat.messages).toEqual(messages)
    for await (const _ of chat.send('And then?')) break
    expect(chat.messages).toEqual(messages)
    await expect(chat.send('word '.repeat(300)).text()).rejects.toThrow(/do not fit/)
    expect(chat.messages).toEqual(messages)
    using fresh = model.chat({ maxTokens: 8, messages })
    expect(await chat.send('And then?').text()).toBe(await fresh.send('And then?').text())
    expect(chat.messages[1].content).toBe(answer)
  })

  it('refuses a second answer while one is coming, whenever it was asked for', async () => {
    using chat = model.chat({ maxTokens: 4 })
    const [one, two] = [chat.send('Hello'), chat.send('Good day')]
    const reading = one.text()
    await expect(two.text()).rejects.toThrow('the last answer is still coming')
    await reading
    expect(chat.messages).toHaveLength(2)
  })
})

describe('load', () => {
  it('takes files from a visitor and tells how far it is', async () => {
    const names = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']
    const files = await Promise.all(
      names.map(async name => new File([await readFile(join(tiny, name))], name)),
    )
    const events: ProgressEvent[] = []
    const opened = await load(files, { weights: 'int8', onProgress: event => events.push(event) })
    expect(await opened.generate(prompt, { maxTokens: 2 }).text()).not.toBe('')
    const last = events.at(-1)!
    expect(last).toMatchObject({ event: 'bytes-read', done: last.total })
    expect(last.total).toBeGreaterThan(5_000_000)
    expect(opened.bytes).toBeLessThan(model.bytes / 2)
  })

  it('stops on request', async () => {
    const controller = new AbortController()
    const loading = load(tiny, { signal: controller.signal, onProgress: () => controller.abort() })
    await expect(loading).rejects.toMatchObject({ code: 'aborted' })
  })

  it('goes without a tokenizer on token ids', async () => {
    const bare = await load(tiny, { tokenizer: false })
    const generation = bare.generate([5, 6, 7], { maxTokens: 3 })
    expect(await generation.text()).toBe('')
    expect(generation.report.tokens.length).toBe(3)
    expect(() => bare.generate('text')).toThrow('without a tokenizer')
  })

  it('says how much memory it would need', async () => {
    await expect(load(tiny, { maxMemory: 1e6 })).rejects.toThrow(/llama weights need 3 MiB/)
  })
})

describe('options of plain JavaScript', () => {
  const refused = (message: string, hint?: string) =>
    expect.objectContaining({ code: 'bad-option', message, hint })

  it('that there are not are refused with the nearest one', async () => {
    const asked: object = { thread: 2 }
    await expect(load(tiny, asked)).rejects.toEqual(
      refused('load: there is no option thread', 'the nearest name is threads'),
    )
    const misspelt: object = { maxTokens: 1, temprature: 1 }
    const error = refused('generate: there is no option temprature', 'the nearest name is temperature')
    expect(() => model.generate(prompt, misspelt)).toThrow(error)
    expect(() => model.chat({ system: 'x' }).send('x', { top_k: 1 } as object)).toThrow(
      refused('send: there is no option top_k', 'the nearest name is topK'),
    )
    expect(() => model.chat({ constructor: 1 } as object)).toThrow('chat: there is no option constructor')
  })

  it('of another type are refused', async () => {
    const asked: object = { cache: null }
    await expect(load(tiny, asked)).rejects.toEqual(
      refused('load: cache is of type object, not boolean|string'),
    )
    const stop: object = { stop: 1 }
    expect(() => model.generate(prompt, stop)).toThrow('generate: stop is of type number, not string|list')
    const system: object = { system: { system: 'x' } }
    expect(() => model.chat(system)).toThrow('chat: system is of type object, not string')
    expect(() => model.generate(prompt, { stop: undefined, seed: 1 })).not.toThrow()
  })
})

describe('kvCache', () => {
  it('of 8 bits changes the distribution of the next token little, and takes a third of the memory or less', async () => {
    const ids = model.tokenizer!.encode('The sea was calm and the ship went on. '.repeat(20)).slice(0, 256)
    using other = await load(tiny, { weights: 'f32', kvCache: 'int8' })
    using exact = model.session()
    using coarse = other.session()
    const [want, got] = [await exact.logits(ids), await coarse.logits(ids)]
    expect(klDivergence(want, got, model.config.vocabSize)).toBeLessThan(2e-4)
    expect(got).not.toEqual(want)
    expect(coarse.bytes).toBeLessThan(exact.bytes / 2.5)
  })
})

/** Mean KL divergence of rows of logits, in nats. */
function klDivergence(want: Float32Array, got: Float32Array, vocab: number): number {
  const logSum = (row: Float32Array) => Math.log(row.reduce((sum, v) => sum + Math.exp(v), 0))
  let total = 0
  for (let at = 0; at < want.length; at += vocab) {
    const [p, q] = [want.subarray(at, at + vocab), got.subarray(at, at + vocab)]
    const sum = logSum(p)
    const shift = logSum(q) - sum
    for (const [i, v] of p.entries()) total += Math.exp(v - sum) * (v - q[i] + shift)
  }
  return total / (want.length / vocab)
}

describe('useAdapter', () => {
  it.each(['lora', 'dora'])('computes what PEFT computes with %s, and goes back', async kind => {
    const base = await load(fixture('models/llama-gqa-tied'), { weights: 'f32' })
    const rows: number[][] = JSON.parse(await readFile(fixture('models/llama-gqa-tied/tokens.json'), 'utf8'))
    const expected = await openModel(fixture(`peft/${kind}/expected.safetensors`))
    const { data } = await expected.readFloat32('logits')
    await expected.close()
    const distance = async () => {
      const session = base.session()
      const got = await session.logits(rows[0])
      session.dispose()
      return got.reduce((worst, v, i) => Math.max(worst, Math.abs(v - data[i])), 0)
    }
    const before = await distance()
    await base.useAdapter(fixture(`peft/${kind}`))
    // the reference's rotary frequencies were rounded to bfloat16
    expect(await distance()).toBeLessThan(before / 5)
    await base.useAdapter(undefined)
    expect(await distance()).toBe(before)
    const bytes = base.bytes
    await base.useAdapter(fixture(`peft/${kind}`))
    await base.useAdapter(undefined)
    expect(base.bytes).toBe(bytes)
  })
})
