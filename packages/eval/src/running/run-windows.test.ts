import { load, type Model } from '@reallm/runtime'
import { fixture } from '@reallm/testing'
import { type ModelWeights, openWeights, streamed, useBackend } from '@reallm/transformer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { perplexities, perplexity } from '../perplexity.ts'
import type { Kept, Tally } from '../tally.ts'
import { documentsOf } from '../tasks/documents.ts'
import { evaluateTask } from '../tasks/evaluate-task.ts'
import { taskNamed } from '../tasks/tasks.ts'

let weights: ModelWeights
let running: Model
let exact: Model
let ids: readonly number[]
beforeAll(async () => {
  await useBackend('wasm')
  weights = await openWeights('npm:@reallm/tiny')
  running = await load('npm:@reallm/tiny', { kvCache: 'f32', weights: 'expanded' })
  exact = await load('npm:@reallm/tiny', { weights: 'f32' })
  ids = running.tokenizer!.encode(new TextDecoder().decode(await readHeldOut()))
})
afterAll(async () => {
  await weights.close()
  running.dispose()
  exact.dispose()
})

const readHeldOut = () => weights.files.readFile('held-out.txt')
const options = { ctx: 128, windows: 4 }

const inMemory = <T>(): Kept<T> & { readonly items: Map<number, T> } => {
  const items = new Map<number, T>()
  return { items, get: i => items.get(i), put: (i, value) => void items.set(i, value) }
}

describe('a running model', () => {
  it('has the same perplexity as its weights through TensorFlow.js, and nearly the same predictions in integers', async () => {
    const float = await perplexity(streamed(weights), ids, options)
    const same = await perplexity(exact, ids, options)
    expect(Math.abs(same.loss - float.loss)).toBeLessThan(1e-5)
    const integers = await perplexity(running, ids, { ...options, against: exact })
    expect(Math.abs(integers.loss - float.loss)).toBeLessThan(5e-4)
    expect(integers.kl).toBeLessThan(1e-4)
    expect(integers.kl).toBeGreaterThan(0)
    expect(integers.otherLoss).toBeCloseTo(same.loss, 9)
    expect(integers.top1).toBeGreaterThan(0.97)
    expect(integers.top5).toBe(1)
  })

  it.each(['half', 'strided', 'full', 'llama.cpp'] as const)('scores %s alike', async protocol => {
    const few = { protocol, ctx: 64, windows: 3 }
    const float = await perplexity(streamed(weights), ids, few)
    const same = await perplexity(exact, ids, few)
    expect(same).toMatchObject({ tokens: float.tokens, windows: 3 })
    expect(Math.abs(same.loss - float.loss)).toBeLessThan(1e-5)
  })

  it('is compared like weights are', async () => {
    const mistral = fixture('models/mistral-untied')
    const llama = fixture('models/llama-gqa-tied')
    const rows = [[5, 80, 200, 31, 7, 90, 11, 12]]
    const [a, b] = [await load(llama, { weights: 'f32' }), await load(mistral, { weights: 'f32' })]
    const [p, q] = [await openWeights(llama), await openWeights(mistral)]
    const ran = await perplexity(a, rows, { against: b })
    const streamedOnes = await perplexity(streamed(p), rows, { against: streamed(q) })
    for (const key of ['loss', 'kl', 'otherLoss', 'top1', 'top5'] as const) {
      expect(ran[key], key).toBeCloseTo(streamedOnes[key]!, 5)
    }
    await expect(perplexity(a, rows, { against: streamed(q) })).rejects.toThrow(
      /cannot be compared with weights/,
    )
    for (const model of [a, b]) model.dispose()
    for (const model of [p, q]) await model.close()
  })
})

describe('what is kept', () => {
  it.each(['running', 'streamed'])(
    'is not measured again: a stopped %s evaluation goes on to the same figures',
    async kind => {
      const model = kind === 'running' ? running : streamed(weights)
      const against = kind === 'running' ? exact : streamed(weights)
      const whole = await perplexity(model, ids, { ...options, against })
      const kept = inMemory<Tally>()
      const stop = new AbortController()
      const put = (i: number, tally: Tally) => {
        kept.items.set(i, tally)
        if (kept.items.size === 2) stop.abort()
      }
      const interrupted = { ...options, against, signal: stop.signal, kept: [{ get: kept.get, put }] }
      await perplexity(model, ids, interrupted).catch(error =>
        expect(error).toMatchObject({ code: 'aborted' }),
      )
      expect(kept.items.size).toBeGreaterThanOrEqual(2)
      kept.items.delete(3)
      const before = kept.items.size
      const resumed = await perplexity(model, ids, { ...options, against, kept: [kept] })
      expect(resumed.keptWindows).toBe(before)
      expect(resumed.tokensRead).toBe((4 - before) * 128)
      expect(resumed.loss).toBe(whole.loss)
      expect(resumed.kl).toBe(whole.kl)
      expect(resumed.intervals).toEqual(whole.intervals)
      const again = await perplexity(model, ids, { ...options, against, kept: [kept] })
      expect(again).toMatchObject({ loss: whole.loss, keptWindows: 4, tokensRead: 0 })
    },
  )

  it('counts for each of several models alone', async () => {
    const kept = [inMemory<Tally>(), inMemory<Tally>()]
    const one = await perplexity(running, ids, { ...options, kept: [kept[0]] })
    const [first, second] = await perplexities([running, exact], ids, { ...options, kept })
    expect(first).toMatchObject({ loss: one.loss, keptWindows: 4, tokensRead: 0 })
    expect(second).toMatchObject({ keptWindows: 0, tokensRead: 512 })
    expect(kept[1].items.size).toBe(4)
  })
})

describe('intervals', () => {
  it('hold the figure, are the same with the same seed, and need two windows', async () => {
    const { intervals, perplexity: ppl } = await perplexity(running, ids, { ...options, against: exact })
    expect(intervals!.perplexity[0]).toBeLessThan(ppl)
    expect(intervals!.perplexity[1]).toBeGreaterThan(ppl)
    expect(Math.abs(intervals!.ratio![1] - 1)).toBeLessThan(1e-3)
    const again = await perplexity(running, ids, { ...options, against: exact })
    expect(again.intervals).toEqual(intervals)
    const alone = await perplexity(running, ids, { ...options, windows: 1 })
    expect(alone.intervals).toBeUndefined()
  })
})

describe('benchmarks of a running model', () => {
  it('answer as its weights do, and go on where they were stopped', async () => {
    const tokenizer = running.tokenizer!
    const path = fixture('tasks/arc_easy.jsonl')
    const { readFile } = await import('node:fs/promises')
    const documents = await documentsOf(path, await readFile(path))
    const task = taskNamed('arc_easy')
    const float = await evaluateTask(streamed(weights), tokenizer, task, documents)
    const kept = inMemory<{ logLikelihood: number; isGreedy: boolean }>()
    const stop = new AbortController()
    const work = evaluateTask(exact, tokenizer, task, documents, {
      kept,
      signal: stop.signal,
      onProgress: () => kept.items.size >= 5 && stop.abort(),
    })
    await expect(work).rejects.toMatchObject({ code: 'aborted' })
    expect(kept.items.size).toBe(5)
    const ran = await evaluateTask(exact, tokenizer, task, documents, { kept })
    for (const [i, { logLikelihoods, choice }] of ran.answers.entries()) {
      expect(choice).toBe(float.answers[i].choice)
      for (const [c, value] of logLikelihoods.entries()) {
        expect(Math.abs(value - float.answers[i].logLikelihoods[c])).toBeLessThan(1e-3)
      }
    }
    const resumed = inMemory<{ logLikelihood: number; isGreedy: boolean }>()
    const streamedOnce = await evaluateTask(streamed(weights), tokenizer, task, documents, { kept: resumed })
    const streamedAgain = await evaluateTask(streamed(weights), tokenizer, task, documents, { kept: resumed })
    expect(streamedAgain.answers).toEqual(streamedOnce.answers)
  })
})
