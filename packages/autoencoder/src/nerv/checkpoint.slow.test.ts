import { type CheckpointStore, matrix, memoryStore, type ProgressEvent } from '@reallm/tensor-io'
import { tf, useBackend } from '@reallm/transformer'
import { beforeAll, expect, test } from 'vitest'
import { autoencoder, autoencoderWith, fitDecoder } from './codec.ts'

const data = Float32Array.from(
  { length: 64 * 96 },
  (_, i) => Math.sin(i / 700) + 0.3 * Math.cos((i % 96) / 9),
)
const w = matrix(data, [64, 96])
const shape = { patch: 32, latentWidth: 3, latentBits: 3, batch: 2 } as const

beforeAll(async () => {
  await useBackend('wasm')
})

/** Stores by name, and what was asked for. */
function stores() {
  const all = new Map<string, CheckpointStore>()
  const checkpoint = (name: string): CheckpointStore => {
    if (!all.has(name)) all.set(name, memoryStore())
    return all.get(name)!
  }
  return { all, checkpoint }
}

test.for([
  { start: 'principal', steps: 70, killed: 62, goesOnAt: 51, states: ['latents'] },
  // half the steps train the encoder, which is done by then
  { start: 'encoder', steps: 130, killed: 120, goesOnAt: 116, states: ['encoder', 'latents'] },
] as const)('training from $start that was killed goes on and ends in the same bytes', async run => {
  const { steps, killed, goesOnAt, start, states } = run
  const params = { ...shape, steps, start }
  const whole = await autoencoder.encode(w, params, { seed: 1 })
  const { all, checkpoint } = stores()
  const tensors = tf.memory().numTensors
  const kill = ({ done }: ProgressEvent) => {
    if (done === killed) throw new Error('killed')
  }
  await expect(autoencoder.encode(w, params, { seed: 1, checkpoint, onProgress: kill })).rejects.toThrow(
    'killed',
  )
  const seen: number[] = []
  const onProgress = ({ event, done }: ProgressEvent) => event === 'step-end' && seen.push(done)
  const resumed = await autoencoder.encode(w, params, { seed: 1, checkpoint, onProgress })
  expect(seen[0]).toBe(goesOnAt)
  expect(seen.at(-1)).toBe(steps)
  expect(resumed.parts).toEqual(whole.parts)
  expect([...all.keys()].map(name => name.split('-')[0])).toEqual(states)
  expect(tf.memory().numTensors).toBe(tensors)

  // another matrix does not meet its state
  const other = matrix(data.slice().reverse(), [64, 96])
  await autoencoder.encode(other, { ...params, steps: 4 }, { seed: 1, checkpoint })
  expect(all.size).toBe(2 * states.length)
})

test('with a decoder that is given, a training does not take the state of one without, or with another', async () => {
  const { all, checkpoint } = stores()
  const params = { ...shape, steps: 6 }
  const other = matrix(data.slice().reverse(), [64, 96])
  const decoders = [
    await fitDecoder([w], params, { seed: 1 }),
    await fitDecoder([other], params, { seed: 2 }),
  ]
  for (const codec of [autoencoder, ...decoders.map(autoencoderWith)]) {
    const stored = await codec.encode(w, params, { seed: 1, checkpoint })
    expect(stored.parts).toEqual((await codec.encode(w, params, { seed: 1 })).parts)
  }
  expect(all.size).toBe(3)
})
