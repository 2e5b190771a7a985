import { readFile } from 'node:fs/promises'
import type { ProgressEvent } from '@reallm/tensor-io'
import {
  forward,
  inMemory,
  loadWeights,
  type ModelWeights,
  openWeights,
  streamed,
  tf,
  useBackend,
  type WeightSource,
} from '@reallm/transformer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { perplexity } from './perplexity.ts'

const fixture = (path: string) => new URL(`../test/fixtures/${path}`, import.meta.url).pathname
const json = async (path: string) => JSON.parse(await readFile(fixture(path), 'utf8'))

let llama: ModelWeights
let mistral: ModelWeights
let rows: number[][]
let before: number
beforeAll(async () => {
  await useBackend('wasm')
  llama = await openWeights(fixture('llama-gqa-tied'))
  mistral = await openWeights(fixture('mistral-untied'))
  rows = await json('llama-gqa-tied/tokens.json')
  before = tf.memory().numTensors
})
afterAll(async () => {
  expect(tf.memory().numTensors).toBe(before)
  await llama.close()
  await mistral.close()
})

/** Log-probabilities `[position][token]` of one window, in plain arithmetic from the logits. */
async function logShares(
  source: WeightSource,
  weights: Awaited<ReturnType<typeof loadWeights>>,
  ids: number[],
) {
  const logits = tf.tidy(() =>
    forward(source.config, weights, tf.tensor2d([ids], undefined, 'int32')).arraySync(),
  )
  return (logits as number[][][])[0].map(row => {
    const top = Math.max(...row)
    const total = Math.log(row.reduce((sum, x) => sum + Math.exp(x - top), 0)) + top
    return row.map(x => x - total)
  })
}

describe('perplexity', () => {
  it.each(['llama-gqa-tied', 'mistral-untied'])('of rows is the reference loss of %s', async name => {
    const model = name === 'llama-gqa-tied' ? llama : mistral
    const { loss } = await json(`${name}/expected.json`)
    const got = await perplexity(streamed(model), await json(`${name}/tokens.json`))
    expect(Math.abs(got.loss - loss)).toBeLessThan(1e-3) // the reference rounded its rotary frequencies to bfloat16
    expect(got).toMatchObject({ tokens: 46, windows: 2 })
    expect(got.perplexity).toBe(Math.exp(got.loss))
  })

  it('scores what the protocol says, however windows are batched', async () => {
    const tokens = rows.flat()
    const weights = await loadWeights(llama)
    const source = inMemory(llama.config, weights)
    const shares = await logShares(source, weights, tokens.slice(16, 32))
    const others = await logShares(source, weights, tokens.slice(0, 16))
    const lost = [others, shares].flatMap((window, w) =>
      Array.from({ length: 8 }, (_, i) => -window[7 + i][tokens[16 * w + 8 + i]]),
    )
    const want = lost.reduce((sum, x) => sum + x, 0) / 16
    const options = { ctx: 16, windows: 2 }
    const whole = await perplexity(source, tokens, options)
    expect(whole.loss).toBeCloseTo(want, 5)
    const stepwise = await perplexity(streamed(llama), tokens, { ...options, maxActivationBytes: 1 })
    expect(stepwise.loss).toBeCloseTo(want, 5)
    tf.dispose(weights)
  })

  it('measures divergence from another model and agreement with it', async () => {
    const weights = [await loadWeights(llama), await loadWeights(mistral)]
    const sources = [inMemory(llama.config, weights[0]), inMemory(mistral.config, weights[1])]
    const ids = rows[0]
    const q = await logShares(sources[0], weights[0], ids)
    const p = await logShares(sources[1], weights[1], ids)
    let kl = 0
    let same = 0
    for (let at = 11; at < 23; at++) {
      kl += p[at].reduce((sum, x, token) => sum + Math.exp(x) * (x - q[at][token]), 0) / 12
      same += Number(p[at].indexOf(Math.max(...p[at])) === q[at].indexOf(Math.max(...q[at]))) / 12
    }
    const got = await perplexity(sources[0], ids, { ctx: 24, against: sources[1] })
    expect(got.kl).toBeCloseTo(kl, 4)
    expect(got.top1).toBeCloseTo(same, 6)
    const other = await perplexity(sources[1], ids, { ctx: 24 })
    expect(got.otherLoss).toBeCloseTo(other.loss, 5)
    const self = await perplexity(sources[0], ids, { ctx: 24, against: streamed(llama) })
    expect(self.kl).toBeCloseTo(0, 6)
    expect(self.top1).toBe(1)
    tf.dispose(weights)
  })

  it('tells how far it is, and stops on request', async () => {
    const events: ProgressEvent[] = []
    await perplexity(streamed(llama), rows, { onProgress: e => events.push(e) })
    expect(events.map(e => `${e.name} ${e.done}/${e.total}`)).toEqual([
      'block 0 1/3',
      'block 1 2/3',
      'head 3/3',
    ])
    expect(events.at(-1)!.eta).toBe(0)
    const controller = new AbortController()
    const work = perplexity(streamed(llama), rows, {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    })
    await expect(work).rejects.toMatchObject({ code: 'aborted' })
  })

  it('refuses foreign tokens, other vocabularies and broken weights', async () => {
    await expect(perplexity(streamed(llama), [[1, 320]])).rejects.toThrow(
      'token 320 is outside the vocabulary of 320',
    )
    const small = { ...streamed(mistral), config: { ...mistral.config, vocabSize: 319 } }
    await expect(perplexity(streamed(llama), [[1, 2]], { against: small })).rejects.toThrow('320 and 319')
    const weights = await loadWeights(llama)
    const broken = { ...weights, 'model.norm.weight': tf.fill([72], Number.NaN) }
    await expect(perplexity(inMemory(llama.config, broken), [[1, 2]])).rejects.toMatchObject({
      code: 'numeric',
    })
    tf.dispose([weights, broken])
  })
})
