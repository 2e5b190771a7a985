import { expect, test } from 'vitest'
import { tokenWeights } from './token-weights.ts'

const squares = { rows: 3, cols: 3, data: Float32Array.of(100, 4, 0, 0, 0, 0, 36, 1, 9) }

test('roots of squared gradients; windows without them count as others do, first tokens apart', () => {
  const { data } = tokenWeights(squares, [0, 2])
  const mean = (10 + 2 + 0 + 6 + 1 + 3) / 6
  const expected = [10, 2, 0, 8, 1.5, 1.5, 6, 1, 3].map(v => v / mean)
  for (const [i, v] of expected.entries()) expect(data[i]).toBeCloseTo(v, 5)
})

test('no gradients at all leave finite weights', () => {
  const { data } = tokenWeights({ ...squares, data: new Float32Array(9) }, [1])
  expect([...data]).toEqual(Array(9).fill(0))
})
