import { expect, test } from 'vitest'
import { readRows, tokenRows } from './token-rows.ts'

test('rows of a large matrix come in pieces, in the order asked for, each piece once', async () => {
  const [rows, cols] = [100_000, 64]
  const pieces: [number, number][] = []
  const source = {
    shape: [rows, cols],
    async read(from: number, to: number) {
      pieces.push([from, to])
      return Float32Array.from({ length: (to - from) * cols }, (_, i) => from + Math.floor(i / cols))
    },
  }
  const found = await readRows(source, [99_999, 3, 70_000, 3])
  expect([found.rows, found.cols]).toEqual([4, cols])
  expect([0, 1, 2, 3].map(r => found.data[r * cols + 5])).toEqual([99_999, 3, 70_000, 3])
  expect(pieces.every(([from, to]) => (to - from) * cols <= 2 ** 22)).toBe(true)
  expect(pieces).toHaveLength(2)

  const tokens = await tokenRows(source, [[7, 70_000], Int32Array.of(7, 99_999)])
  expect(tokens.of([99_999, 7, 7]).filter((_, i) => i % cols === 0)).toEqual(Float32Array.of(99_999, 7, 7))
  expect(pieces).toHaveLength(4)
})
