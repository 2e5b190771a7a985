import { bitsOf, matrix } from '@reallm/tensor-io'
import { tf, useBackend } from '@reallm/transformer'
import { beforeAll, describe, expect, test } from 'vitest'
import { autoencoder } from './codec.ts'
import { nervParams } from './params.ts'

const params = nervParams.parse({
  patch: 32,
  stages: 2,
  latentWidth: 4,
  latentBits: 4,
  decoderWidth: 8,
  steps: 120,
  batch: 4,
})

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

describe('autoencoder', () => {
  test('stores structure at one bit per weight, exactly as it costs, and repeatably', async () => {
    const w = waves(40, 64)
    const before = tf.memory().numTensors
    const stored = await autoencoder.encode(w, params, { seed: 3 })
    expect(tf.memory().numTensors).toBe(before)
    expect(bitsOf(stored)).toBe(bitsOf(autoencoder.cost([40, 64], params)))
    expect(relativeError(w.data, autoencoder.decode(stored).data)).toBeLessThan(0.6)
    const again = await autoencoder.encode(w, params, { seed: 3 })
    expect(again.parts.latents!.data).toEqual(stored.parts.latents!.data)
  })

  test('a tampered part is refused by name', async () => {
    const stored = await autoencoder.encode(waves(32, 32), { ...params, steps: 2 }, { seed: 3 })
    const { latents: _, ...rest } = stored.parts
    expect(() => autoencoder.decode({ ...stored, parts: rest })).toThrow(/latents is missing/)
  })

  test('weights that are no numbers and patches that cannot be halved are refused', async () => {
    const broken = waves(32, 32)
    broken.data[33] = Number.NaN
    await expect(autoencoder.encode(broken, params, { seed: 1 })).rejects.toThrow(/row 1, column 1 is NaN/)
    expect(() => autoencoder.cost([32, 32], { ...params, patch: 16, stages: 5 })).toThrow(/halved 5 times/)
  })
})
