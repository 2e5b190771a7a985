import { bitsOf, bitsPerWeight, checkParts, f16ToF32, matrix } from '@reallm/tensor-io'
import { autoencoderLayout, readAutoencoder } from '@reallm/tensor-io/layouts'
import { tf, useBackend } from '@reallm/transformer'
import { beforeAll, describe, expect, test } from 'vitest'
import { autoencoder, autoencoderWith, encodeGroup, fitDecoder, sharedParts } from './codec.ts'
import { fittedGrid } from './latents.ts'
import { decode } from './network.ts'
import { searchShape, shapesAt } from './search.ts'

const params = { patch: 32, latentWidth: 4, latentBits: 3, steps: 40, batch: 4 } as const

/** Waves of a few low frequencies: the structure an autoencoder is for. */
function waves(rows: number, cols: number) {
  const data = Float32Array.from({ length: rows * cols }, (_, i) => {
    const [y, x] = [Math.floor(i / cols) / 16, (i % cols) / 16]
    return Math.sin(3 * x + 2 * y) + 0.5 * Math.cos(5 * y - x)
  })
  return matrix(data, [rows, cols])
}

function relativeError(w: Float32Array, approx: Float32Array): number {
  let [difference, energy] = [0, 0]
  for (let i = 0; i < w.length; i++) {
    difference += (w[i] - approx[i]) ** 2
    energy += w[i] ** 2
  }
  return difference / energy
}

beforeAll(async () => {
  await useBackend('wasm')
})

test('bits go to the channels that lose most, gains to what values there are', () => {
  const latents = matrix(
    Float32Array.from({ length: 300 }, (_, i) => (i % 3 === 2 ? 0 : (i % 3 ? 0.1 : 1) * Math.sin(i))),
    [100, 3],
  )
  const { bits, gains } = fittedGrid(latents, new Float32Array(100).fill(1), 9)
  expect([...bits]).toEqual([6, 3, 0])
  expect(f16ToF32(gains)[0]).toBeCloseTo(1, 1)
  expect(f16ToF32(gains)[1]).toBeCloseTo(0.09, 2)
  // more than anybody can use
  expect([...fittedGrid(latents, new Float32Array(100).fill(1), 48).bits]).toEqual([16, 16, 16])
})

describe('autoencoder', () => {
  test('keeps structure at less than a bit per weight, leaves no tensors, and training never harms', async () => {
    const w = waves(128, 192)
    const before = tf.memory().numTensors
    const stored = await autoencoder.encode(w, params, { seed: 3 })
    expect(tf.memory().numTensors).toBe(before)
    expect(bitsPerWeight(stored)).toBeLessThan(1.2)
    const error = relativeError(w.data, autoencoder.decode(stored).data)
    expect(error).toBeLessThan(0.01)
    const untrained = await autoencoder.encode(w, { ...params, steps: 0 }, { seed: 3 })
    expect(error).toBeLessThan(1.001 * relativeError(w.data, autoencoder.decode(untrained).data))
  })

  test('the kernels decode what the training decoder sees, to 1e-4', async () => {
    const w = waves(32, 32)
    for (const start of ['principal', 'encoder'] as const) {
      const encoded = await autoencoder.encode(w, { ...params, start, steps: 6 }, { seed: 3 })
      const stored = checkParts(autoencoderLayout, encoded)
      const { latents, gains, layers, scales } = readAutoencoder(stored)
      const [scale] = scales
      const trained = tf.tidy(() => {
        const decoder = layers.map(({ weight, bias }) => ({
          weight: tf.variable(tf.tensor2d(weight.data, [weight.rows, weight.cols])),
          bias: tf.variable(tf.tensor1d(bias)),
        }))
        return decode(tf.tensor4d(latents, [1, 8, 8, 4]), gains, decoder, stored.params).dataSync()
      })
      const decoded = autoencoder.decode(stored).data
      decoded.forEach((v, i) => {
        expect(Math.abs(v - scale * trained[i])).toBeLessThan(1e-4 * scale)
      })
    }
  })

  test('a group shares one decoder: the same tensors in each, as exact as they cost', async () => {
    const group = [waves(64, 64), waves(96, 64)]
    const stored = await encodeGroup(group, { ...params, steps: 5 }, { seed: 1 })
    expect(stored[0].parts.weights.data).toEqual(stored[1].parts.weights.data)
    for (const [i, w] of group.entries()) {
      expect(bitsOf(stored[i])).toBe(bitsOf(autoencoder.cost([w.rows, w.cols], { ...params, steps: 5 })))
      expect(relativeError(w.data, autoencoder.decode(stored[i]).data)).toBeLessThan(0.03)
    }
  })

  test('a decoder fitted to some matrices serves others like them; every decoder reads what it stores', async () => {
    const settings = { ...params, steps: 5 }
    const decoder = await fitDecoder([waves(64, 64), waves(96, 64)], settings, { seed: 1 })
    const other = waves(160, 96)
    const before = tf.memory().numTensors
    const stored = await autoencoderWith(decoder).encode(other, settings, { seed: 2 })
    expect(tf.memory().numTensors).toBe(before)
    for (const name of sharedParts) expect(stored.parts[name]).toBe(decoder[name])
    expect(bitsOf(stored)).toBe(bitsOf(autoencoder.cost([160, 96], settings)))
    expect(relativeError(other.data, autoencoder.decode(stored).data)).toBeLessThan(0.03)
    await expect(fitDecoder([other], { ...settings, start: 'encoder' }, { seed: 1 })).rejects.toMatchObject({
      code: 'bad-option',
    })
  })

  test('the search tries shapes of equal size, halves them, and is never worse than untrained', async () => {
    const w = waves(96, 96)
    for (const shape of shapesAt([96, 96], 1.5, { patch: 32 })) {
      const bits = bitsOf(autoencoder.cost([96, 96], shape)) / 96 ** 2
      expect(bits).toBeGreaterThan(1.1)
      expect(bits).toBeLessThanOrEqual(1.51)
    }
    const { encoded, error, rounds } = await searchShape(w, 1.5, { patch: 32, steps: 4 }, { seed: 1 })
    expect(relativeError(w.data, autoencoder.decode(encoded as never).data)).toBeCloseTo(error, 6)
    expect(rounds.map(r => r.steps)).toEqual([0, 0, 1, 4])
    expect(rounds[0].trials).toBeGreaterThan(rounds[2].trials)
    await expect(searchShape(w, 0.01, { patch: 32 }, { seed: 1 })).rejects.toThrow('no autoencoder fits 0.01')
  })

  test('altered bits of the latents are refused, and patches that cannot be halved', async () => {
    const stored = await autoencoder.encode(waves(32, 32), { ...params, steps: 0 }, { seed: 3 })
    const latentBits = { ...stored.parts.latentBits, data: new Uint8Array(4) }
    expect(() => autoencoder.decode({ ...stored, parts: { ...stored.parts, latentBits } as never })).toThrow(
      'latentBits does not add up',
    )
    expect(() => autoencoder.cost([32, 32], { patch: 16, stages: 5 })).toThrow('halved')
  })
})
