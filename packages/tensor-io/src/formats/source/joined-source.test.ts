import { expect, test } from 'vitest'
import { joinedSource } from './joined-source.ts'
import { bytesSource, readAll } from './source.ts'

const bytes = Uint8Array.from({ length: 10 }, (_, i) => i)
const files: Record<string, Uint8Array> = {
  a: bytes.subarray(0, 4),
  b: bytes.subarray(4, 8),
  c: bytes.subarray(8),
}
const parts = Object.entries(files).map(([file, part]) => ({ file, bytes: part.length }))

test('reads across its parts, and opens those that are read and the one behind', async () => {
  const opened: string[] = []
  const source = joinedSource('whole', parts, async file => {
    opened.push(file)
    return bytesSource(file, files[file])
  })
  expect(source.size).toBe(10)
  expect([...(await source.read(5, 7))]).toEqual([5, 6])
  expect(opened).toEqual(['b', 'c'])
  expect(await readAll(source)).toEqual(bytes)
  expect(opened).toEqual(['b', 'c', 'a'])
  await expect(source.read(0, 11)).rejects.toMatchObject({ code: 'bad-file' })
  await source.close()
})

test('names a part of another size, and refuses a damaged list', async () => {
  const source = joinedSource('whole', parts, async file => bytesSource(file, new Uint8Array(3)))
  await expect(source.read(0, 1)).rejects.toMatchObject({
    code: 'integrity',
    message: 'whole: its part a has 3 bytes instead of 4',
  })
  for (const damaged of [[], 'a', [{ file: '../a', bytes: 1 }], [{ file: 'a', bytes: -1 }], [null]]) {
    expect(() => joinedSource('whole', damaged as typeof parts, async () => source)).toThrow(
      'list of its parts',
    )
  }
})
