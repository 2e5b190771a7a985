import { createHash } from 'node:crypto'
import { afterEach, expect, test } from 'vitest'
import { randomMatrix } from '../test/random-matrix.ts'
import { gram } from './gram.ts'
import { matmul } from './matmul.ts'
import { nearestCentroid } from './nearest-centroid.ts'
import { createPool, type Pool } from './pool.ts'
import { trellisTable } from './trellis-tables.ts'
import { viterbi } from './viterbi.ts'

let pool: Pool | undefined
afterEach(() => pool?.close())

const a = randomMatrix(203, 310)
const b = randomMatrix(97, 310, 2)
const points = randomMatrix(5001, 4, 3)
const values = randomMatrix(11, 256, 4).data

const digest = (): string => {
  const hash = createHash('sha256')
  for (const data of results()) hash.update(new Uint8Array(data.buffer))
  return hash.digest('hex')
}

const results = () => [
  matmul(a, b, { transposeB: true }).data,
  matmul(b, a, { transposeB: true }).data,
  gram(a).data,
  nearestCentroid(points, randomMatrix(37, 4, 5)),
  viterbi(values, { bits: 2, lut: trellisTable(9, 2) }),
]

test.each([2, 3])('%i threads give the bytes that one gives', async threads => {
  const single = digest()
  pool = await createPool({ threads })
  expect(pool.threads).toBe(threads)
  for (let i = 0; i < 10; i++) expect(digest()).toBe(single)
  pool.close()
  expect(digest()).toBe(single)
})

test('one pool at a time', async () => {
  pool = await createPool({ threads: 2 })
  await expect(createPool({ threads: 2 })).rejects.toThrow('a thread pool is open')
  pool.close()
  pool.close()
  expect((await createPool({ threads: 1 })).threads).toBe(1)
})
