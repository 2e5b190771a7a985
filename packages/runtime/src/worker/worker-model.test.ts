import { fileURLToPath } from 'node:url'
import type { WorkerOptions } from 'node:worker_threads'
import { openModel } from '@reallm/tensor-io'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { load, type WorkerModel } from '../index.ts'

const tiny = fileURLToPath(new URL('../../../tiny/model', import.meta.url))
const prompt = 'It was the best of times, and'

/** Without the condition of this process that names sources: threads know no TypeScript. */
const threads = process.getBuiltinModule('node:worker_threads')
const { Worker } = threads
threads.Worker = class extends Worker {
  constructor(script: string | URL, options: WorkerOptions = {}) {
    super(script, { ...options, execArgv: [] })
  }
}

/** As it is built. */
const built: { load: typeof load } = await import(String(new URL('../../dist/index.js', import.meta.url)))
let model: WorkerModel
const heard: string[] = []

beforeAll(async () => {
  const onProgress = ({ event, done, total }: { event: string; done: number; total: number }) =>
    heard.push(done === total ? `${event} to the end` : event)
  model = await built.load(tiny, { worker: true, threads: 2, onProgress })
})
afterAll(() => {
  model.dispose()
  threads.Worker = Worker
})

describe('a model in a Worker', () => {
  it('tells what it is, as one in this thread does, and how loading went', async () => {
    using here = await load(tiny, { threads: 2 })
    const { weights, device, threads, kernels, eos, multiplyAdds, bytes } = here
    expect(model).toMatchObject({ weights, device, threads, kernels, eos, multiplyAdds, bytes })
    expect(model.config.layerSpecs).toEqual(here.config.layerSpecs)
    expect(heard).toContain('bytes-read to the end')
  })

  it('writes what one in this thread writes, piece by piece, and reports it', async () => {
    using here = await load(tiny, { threads: 2 })
    for (const options of [{ maxTokens: 12 }, { maxTokens: 12, temperature: 1, seed: 3 }]) {
      const wanted = here.generate(prompt, options)
      const found = model.generate(prompt, options)
      const pieces: string[] = []
      for await (const piece of found) pieces.push(piece)
      expect(pieces.length).toBeGreaterThan(3)
      expect(pieces.join('')).toBe(await wanted.text())
      const { promptSeconds, tokenSeconds, ...report } = wanted.report
      expect(found.report).toMatchObject(report)
      expect(found.report.promptSeconds + found.report.tokenSeconds).toBeGreaterThan(0)
    }
    expect(await model.generate([1, 2, 3], { maxTokens: 3 }).text()).toBe(
      await here.generate([1, 2, 3], { maxTokens: 3 }).text(),
    )
  })

  it('writes several texts at once', async () => {
    const prompts = ['The whale', 'The sea', 'A ship']
    const apart: string[] = []
    for (const text of prompts) apart.push(await model.generate(text, { maxTokens: 8 }).text())
    expect(await Promise.all(prompts.map(text => model.generate(text, { maxTokens: 8 }).text()))).toEqual(
      apart,
    )
  })

  it('makes no more than is asked for, and gives the memory back when the loop is left', async () => {
    await model.generate(prompt, { maxTokens: 2 }).text()
    const before = model.bytes
    const generation = model.generate(prompt)
    for await (const _ of generation) break
    expect(generation.report).toMatchObject({ reason: 'left', tokens: { length: 1 } })
    expect(model.bytes).toBe(before)
  })

  it('remembers a conversation, from which an answer that is left is missing', async () => {
    using here = await load(tiny)
    const options = { system: 'Be brief.', maxTokens: 6 }
    const [chat, wanted] = [model.chat(options), here.chat(options)]
    expect(chat.messages).toEqual(wanted.messages)
    for (const text of ['Tell me of the sea.', 'And the ship?']) {
      const answer = chat.send(text)
      expect(await answer.text()).toBe(await wanted.send(text).text())
      expect(chat.messages).toEqual(wanted.messages)
      if (text.startsWith('And')) expect(answer.report.reusedTokens).toBeGreaterThan(0)
    }
    for await (const _ of chat.send('And the whale?')) {
      await expect(chat.send('Well?').text()).rejects.toThrow('the last answer is still coming')
      break
    }
    expect(chat.messages).toEqual(wanted.messages)
    chat.dispose()
  })

  it('stops what is aborted, in the middle or before it begins', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const generation = model.generate(prompt, { signal, maxTokens: 100 })
    const read = async () => {
      for await (const _ of generation) controller.abort()
    }
    await expect(read()).rejects.toMatchObject({ code: 'aborted', message: 'stopped on request' })
    expect(generation.report.tokens.length).toBeLessThan(100)
    await expect(model.generate(prompt, { signal }).text()).rejects.toMatchObject({ code: 'aborted' })
    await expect(model.chat({ signal }).send('Hello').text()).rejects.toMatchObject({ code: 'aborted' })
    await expect(built.load(tiny, { worker: true, signal })).rejects.toMatchObject({ code: 'aborted' })
  })

  it('refuses as one in this thread does: with a code and a hint', async () => {
    await expect(model.generate([]).text()).rejects.toMatchObject({
      ...{
        name: 'ReallmError',
        code: 'bad-option',
        message: 'the prompt is empty: no tokens to read',
        hint: 'give it one token',
      },
    })
    await expect(built.load('nowhere', { worker: true })).rejects.toMatchObject({ code: 'not-found' })
    await expect(model.useAdapter('nowhere')).rejects.toMatchObject({ code: 'not-found' })
  })

  it('refuses what cannot be sent', async () => {
    const options = { maxTokens: 3, onSample: () => {} }
    await expect(model.generate(prompt, options).text()).rejects.toThrow(
      'generate: an option cannot be sent to a Worker',
    )
    const open = await openModel(tiny)
    await expect(built.load(open, { worker: true })).rejects.toThrow(
      'an open model cannot be sent to a Worker',
    )
    await open.close()
  })

  it('ends what is under way when it is disposed of, and is used no more', async () => {
    const other = await built.load(tiny, { worker: true })
    const pieces = other.generate(prompt)[Symbol.asyncIterator]()
    await pieces.next()
    const next = pieces.next()
    other.dispose()
    await expect(next).rejects.toMatchObject({ code: 'aborted', message: /disposed of/ })
    await expect(other.generate(prompt).text()).rejects.toThrow('disposed of')
  })
})
