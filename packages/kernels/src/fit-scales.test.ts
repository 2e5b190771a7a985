import { matrix, zeroMatrix } from '@reallm/tensor-io'
import { normalfloatLevels } from '@reallm/tensor-io/layouts/normalfloat-levels'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { randomMatrix, withReference } from '../test/random-matrix.ts'
import { fitScales } from './fit-scales.ts'
import { LevelFinder } from './level-finder.ts'

const even = (count: number) => Float32Array.from({ length: count }, (_, i) => i - (count - 1) / 2)
const fromZero = (count: number) => Float32Array.from({ length: count }, (_, i) => i)

const weightsOf = (rows: number, size: number) => {
  const m = randomMatrix(rows, size, 9)
  return { ...m, data: m.data.map(v => v * v + 0.1) }
}

function errorOf(
  x: Float32Array,
  weights: Float32Array,
  levels: Float32Array,
  scale: number,
  shift: number,
): number {
  const finder = new LevelFinder(levels)
  let error = 0
  for (const [i, v] of x.entries()) {
    error += weights[i] * (v - scale * (levels[finder.find(v / scale + shift)] - shift)) ** 2
  }
  return error
}

const kinds = [
  { name: 'a symmetric grid', levels: even, zeroPoint: false },
  { name: 'a grid with zero points', levels: fromZero, zeroPoint: true },
  {
    name: 'NormalFloat',
    levels: (count: number) => normalfloatLevels(Math.max(2, Math.min(4, Math.log2(count)))),
    zeroPoint: false,
  },
]

test.each(kinds)('the kernel loses no more than the reference on $name', ({ levels: of, zeroPoint }) => {
  const sizes = fc.tuple(
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 40 }),
    fc.constantFrom(2, 4, 8, 16, 256),
  )
  fc.assert(
    fc.property(sizes, ([perRow, m, size, count]) => {
      const [values, weights, levels] = [randomMatrix(perRow * m, size, size), weightsOf(m, size), of(count)]
      const found = fitScales(values, weights, levels, { zeroPoint })
      const wanted = withReference(() => fitScales(values, weights, levels, { zeroPoint }))
      const error = ({ scales, zeros }: typeof found, i: number) =>
        errorOf(
          values.data.subarray(i * size, (i + 1) * size),
          weights.data.subarray((i % m) * size, ((i % m) + 1) * size),
          levels,
          scales[i],
          zeroPoint ? levels[zeros[i]] : 0,
        )
      for (let i = 0; i < values.rows; i++) {
        expect(error(found, i)).toBeLessThanOrEqual(error(wanted, i) * 1.001 + 1e-6)
      }
    }),
    { numRuns: 60, seed: 2 },
  )
})

test.each(kinds)('without a search the largest value fits: $name', ({ levels: of, zeroPoint }) => {
  const [values, weights, levels] = [randomMatrix(20, 33), weightsOf(1, 33), of(8)]
  const options = { zeroPoint, clip: 'absmax' } as const
  const found = fitScales(values, weights, levels, options)
  const wanted = withReference(() => fitScales(values, weights, levels, options))
  expect(found.zeros).toEqual(wanted.zeros)
  for (const [i, scale] of found.scales.entries()) expect(scale).toBeCloseTo(wanted.scales[i], 6)
})

test('groups of zeros have scale 0, and weights of 0 do not count', () => {
  const levels = even(4)
  expect(fitScales(zeroMatrix(2, 5), weightsOf(1, 5), levels).scales).toEqual(new Float32Array(2))
  const values = matrix([1.5, -0.5, 0.5, 2], [1, 4])
  expect(fitScales(values, matrix([1, 1, 1, 0], [1, 4]), levels).scales).toEqual(Float32Array.of(1))
})

test('weights of another size and uneven levels with a zero point are refused', () => {
  expect(() => fitScales(zeroMatrix(2, 4), zeroMatrix(1, 3), even(4))).toThrow('[2, 4] under weights [1, 3]')
  const [values, weights] = [zeroMatrix(2, 4), zeroMatrix(1, 4)]
  expect(() => fitScales(values, weights, normalfloatLevels(3), { zeroPoint: true })).toThrow('no scales')
})
