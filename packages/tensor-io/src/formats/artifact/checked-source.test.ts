import { expect, test } from 'vitest'
import { random } from '../../core/random.ts'
import { bytesSource } from '../source/source.ts'
import { checkedSource } from './checked-source.ts'
import { blocksOf, shardSums } from './shard-sums.ts'
import { sha256OfBlocks } from './verify.ts'

const size = 1 << 12
const { integer } = random(5)
const contents = Uint8Array.from({ length: 20 * size + 77 }, () => integer(256))
const listed = { size, sha256: await sha256OfBlocks(bytesSource('file', contents), size) }

/** A source that notes what is read of it. */
function noting(bytes: Uint8Array) {
  const read: [number, number][] = []
  const source = bytesSource('file', bytes)
  return {
    read,
    source: {
      ...source,
      read: (start: number, end: number) => {
        read.push([start, end])
        return source.read(start, end)
      },
    },
  }
}

test.each([
  [0, 8],
  [size - 1, size + 1],
  [5, 20 * size + 77],
  [20 * size, 20 * size + 77],
  [7, 7],
])('gives bytes %d to %d', async (start, end) => {
  const checked = checkedSource('model', 'file', bytesSource('file', contents), listed)
  expect(await checked.read(start, end)).toEqual(contents.slice(start, end))
})

test('reads whole blocks, and none twice that was used a moment ago', async () => {
  const { read, source } = noting(contents)
  const checked = checkedSource('model', 'file', source, listed)
  await checked.read(0, 8)
  await checked.read(8, 2 * size + 1)
  await checked.read(2 * size + 1, 2 * size + 9)
  await checked.read(20 * size, 20 * size + 9)
  await checked.read(size - 4, 2 * size + 9)
  expect(await checked.read(2 * size, 5 * size)).toEqual(contents.slice(2 * size, 5 * size))
  expect(read).toEqual([
    [0, size],
    [size, 3 * size],
    [20 * size, 20 * size + 77],
    [3 * size, 5 * size],
  ])
})

test('refuses bytes of an altered block, and gives those of others', async () => {
  const altered = contents.slice()
  altered[3 * size + 10] ^= 1
  const checked = checkedSource('model', 'file', bytesSource('file', altered), listed)
  expect(await checked.read(0, 3 * size)).toEqual(contents.slice(0, 3 * size))
  for (const [start, end] of [
    [3 * size, 3 * size + 1],
    [0, 5 * size],
  ]) {
    await expect(checked.read(start, end)).rejects.toMatchObject({
      code: 'integrity',
      message: 'model: file was altered: its SHA-256 is not the listed one',
    })
  }
  expect(await checked.read(4 * size, 4 * size + 5)).toEqual(contents.slice(4 * size, 4 * size + 5))
})

test('a list that does not fit the file is refused', () => {
  const blocksOfFile = (blocks?: object) =>
    blocksOf('model', 'file', contents.length, shardSums(blocks === undefined ? {} : { blocks }))
  expect(blocksOfFile()).toBeUndefined()
  expect(blocksOfFile({ size, sha256: { another: [] } })).toBeUndefined()
  for (const blocks of [
    { size, sha256: { file: listed.sha256.slice(1) } },
    { size: 0.5, sha256: { file: listed.sha256 } },
    { size: 2 ** 40, sha256: { file: ['a'] } },
    { size, sha256: { file: 'a' } },
  ]) {
    expect(() => blocksOfFile(blocks)).toThrow(/lists other blocks of file/)
  }
})
