import { attentionOf, type TransformerConfig } from '@reallm/tensor-io/models'
import { createTokenizer } from '@reallm/tensor-io/tokenizer'
import { beforeAll, describe, expect, it } from 'vitest'
import { type GoldenModel, goldenModel } from '../test/golden.ts'
import { generate, generateIds } from './generate.ts'
import { tf, useBackend } from './tf.ts'
import { forward } from './transformer.ts'

let model: GoldenModel
beforeAll(async () => {
  await useBackend('wasm')
  model = await goldenModel('qwen3-qknorm')
})

const collect = async <T>(from: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = []
  for await (const x of from) all.push(x)
  return all
}
const prompt = [5, 17, 200]
const run = (options: Parameters<typeof generateIds>[3]) =>
  collect(generateIds(model.config, model.weights, prompt, { eos: [], ...options }))

describe('generateIds', () => {
  /** The prompt and its likeliest six tokens, each from the whole text. */
  function likeliest(config: TransformerConfig): number[] {
    const ids = [...prompt]
    for (let i = 0; i < 6; i++) {
      const best = tf.tidy(() => {
        const logits = forward(config, model.weights, tf.tensor2d([ids], undefined, 'int32'))
        return logits
          .slice([0, ids.length - 1], [1, 1])
          .argMax(-1)
          .dataSync()[0]
      })
      ids.push(best)
    }
    return ids
  }

  it('takes the likeliest token each time, as without a cache', async () => {
    const before = tf.memory().numTensors
    expect(await run({ maxTokens: 6 })).toEqual(likeliest(model.config).slice(3))
    expect(tf.memory().numTensors).toBe(before)
  })

  it('reads the text again where LongRoPE turns it by other angles', async () => {
    const { config, weights } = model
    const layerSpecs = config.layerSpecs.map(spec => {
      const mixer = attentionOf(spec.mixer, 'the test')
      const rope = mixer.rope!
      const inverseFrequencies = rope.inverseFrequencies.map(() => 1.5)
      return { ...spec, mixer: { ...mixer, rope: { ...rope, long: { beyond: 5, inverseFrequencies } } } }
    })
    const before = tf.memory().numTensors
    const long = { ...config, layerSpecs }
    const got = await collect(generateIds(long, weights, prompt, { eos: [], maxTokens: 6 }))
    expect(got).toEqual(likeliest(long).slice(3))
    expect(got).not.toEqual(likeliest(config).slice(3))
    expect(tf.memory().numTensors).toBe(before)
  })

  it('repeats itself with the same seed and differs with another', async () => {
    const draw = (seed: number) => run({ maxTokens: 12, temperature: 1, topK: 50, topP: 0.95, seed })
    expect(await draw(1)).toEqual(await draw(1))
    expect(await draw(1)).not.toEqual(await draw(2))
  })

  it('ends at an end-of-text id', async () => {
    const all = await run({ maxTokens: 6 })
    expect(await run({ maxTokens: 6, eos: [all[2]] })).toEqual(all.slice(0, all.indexOf(all[2])))
  })

  it('stops on request and frees its cache', async () => {
    const before = tf.memory().numTensors
    const controller = new AbortController()
    const ids = generateIds(model.config, model.weights, prompt, { eos: [], signal: controller.signal })
    await ids.next()
    controller.abort()
    await expect(ids.next()).rejects.toMatchObject({ code: 'aborted' })
    expect(tf.memory().numTensors).toBe(before)
  })

  it('refuses an empty prompt', async () => {
    await expect(collect(generateIds(model.config, model.weights, []))).rejects.toThrow('the prompt is empty')
  })
})

describe('generate', () => {
  it('yields text and stops before a stop string', async () => {
    const { config, weights } = model
    const letters = Object.fromEntries(
      Array.from({ length: config.vocabSize }, (_, i) => [String.fromCodePoint(0x4e00 + i), i]),
    )
    const tokenizer = createTokenizer({
      tokenizer: {
        model: { type: 'BPE', vocab: letters, merges: [], unk_token: null },
        added_tokens: [],
        decoder: { type: 'Fuse' },
      },
      config: {},
    })
    const text = async (options: object) =>
      (await collect(generate(config, weights, tokenizer, '五', { maxTokens: 8, ...options }))).join('')
    const whole = await text({})
    expect([...whole]).toHaveLength(8)
    const stop = whole.slice(3, 5)
    expect(await text({ stop: [stop] })).toBe(whole.slice(0, whole.indexOf(stop)))
  })
})
