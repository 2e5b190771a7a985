import { random, seedFor } from '@reallm/tensor-io'
import { allTensors, parseConfig, type TfTensor, tf } from '@reallm/transformer'
import { type Parameters, sequencesOf, shuffled, summedLoss, type TrainOptions } from '../src/index.ts'

export const toyConfig = await parseConfig({
  model_type: 'llama',
  vocab_size: 32,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 32,
  rope_theta: 10_000,
  tie_word_embeddings: true,
})

/** Seeded weights of the toy model. */
export function toyWeights(seed = 1): Record<string, TfTensor> {
  return Object.fromEntries(
    [...allTensors(toyConfig)].map(([name, shape]) => {
      const rng = random(seedFor(seed, name))
      const size = shape.reduce((a, b) => a * b, 1)
      const values = Float32Array.from({ length: size }, () => (shape.length === 1 ? 1 : 0.2 * rng.normal()))
      return [name, tf.tensor(values, [...shape])]
    }),
  )
}

/** A stream with a pattern to learn: each token is its predecessor plus 5, modulo 32, now and then broken. */
export function toyStream(length = 400): number[] {
  const rng = random(7)
  const stream = [0]
  while (stream.length < length)
    stream.push(rng.uniform() < 0.1 ? rng.integer(32) : (stream.at(-1)! + 5) % 32)
  return stream
}

/** A run of 12 steps on the toy model; the parameters are new variables. */
export function toyRun(): TrainOptions & { parameters: Parameters } {
  const weights = toyWeights()
  const parameters: Parameters = new Map(Object.entries(weights).map(([n, t]) => [n, tf.variable(t)]))
  tf.dispose(weights)
  const trained = Object.fromEntries(parameters)
  return {
    parameters,
    batches: shuffled(sequencesOf(toyStream(), 12), { rows: 4, seed: 5 }),
    loss: batch => summedLoss(toyConfig, trained, batch),
    steps: 12,
    learningRate: 0.02,
    accumulate: 2,
    weightDecay: 0.1,
  }
}

/** All values of the parameters, in order. */
export const valuesOf = (parameters: Parameters): number[][] =>
  [...parameters.values()].map(p => Array.from(p.dataSync()))
