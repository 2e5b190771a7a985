import { tensor } from '@reallm/tensor-io'
import { expect, test } from 'vitest'
import { readRows } from './read-matrix.ts'

test('rows of a large matrix come in pieces, in the order asked for', async () => {
  const [rows, cols] = [100_000, 64]
  const read: [number, number][] = []
  const model = {
    shapes: new Map([['embedding', [rows, cols]]]),
    async read(_: string, range?: readonly [number, number]) {
      const [from, to] = range ?? [0, rows]
      read.push([from, to])
      const data = Float32Array.from({ length: (to - from) * cols }, (_, i) => from + Math.floor(i / cols))
      return tensor('F32', [to - from, cols], data)
    },
  }
  const found = await readRows(model, 'embedding', [99_999, 3, 70_000, 3])
  expect([found.rows, found.cols]).toEqual([4, cols])
  expect([0, 1, 2, 3].map(r => found.data[r * cols + 5])).toEqual([99_999, 3, 70_000, 3])
  expect(read.every(([from, to]) => (to - from) * cols <= 2 ** 22)).toBe(true)
  read.length = 0
  await readRows(model, 'embedding', [1])
  expect(read.length).toBe(1)
})
