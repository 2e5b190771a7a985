import { random } from '@reallm/tensor-io'
import { tf, useBackend } from '@reallm/transformer'
import { expect, test } from 'vitest'
import { covariance, symmetricCovariance } from './covariance.ts'

test.each([
  [1, 'wasm'],
  [3, 'wasm'],
  [8, 'cpu'],
  [21, 'wasm'],
  [21, 'cpu'],
] as const)(
  'the symmetric sum of %i columns on %s is the plain one, exactly symmetric',
  async (n, backend) => {
    await useBackend(backend)
    const { normal } = random(n)
    const before = tf.memory().numTensors
    const [whole, banded] = [covariance(), symmetricCovariance()]
    for (const positions of [5, 2]) {
      const x = tf.tensor2d(Float32Array.from({ length: positions * n }, normal), [positions, n])
      const weighed = tf.tidy(() => x.mul(tf.range(1, positions + 1).expandDims(1)))
      for (const m of [whole, banded]) m.add(weighed as typeof x, x)
      tf.dispose([x, weighed])
    }
    expect(banded.positions).toBe(7)
    const [wanted, found] = [whole.take(), banded.take()]
    expect(found).toMatchObject({ rows: n, cols: n })
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        expect(found.data[i * n + j]).toBeCloseTo(wanted.data[i * n + j], 5)
        expect(found.data[i * n + j]).toBe(found.data[j * n + i])
      }
    }
    expect(tf.memory().numTensors).toBe(before)
  },
)
