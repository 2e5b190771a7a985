import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import * as z from 'zod'
import { openCheckpoint } from './checkpoint.ts'
import { jsonKey, matrixKey } from './keys.ts'

let parent: string
let folder: string
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'checkpoint-'))
  folder = join(parent, 'out.work')
})
afterEach(() => rm(parent, { recursive: true, force: true }))

const program = 'this test'
const open = (identity: Record<string, string | number | null>, resume = false) =>
  openCheckpoint(folder, { program, identity, resume })
const numbers = jsonKey('numbers.json', z.array(z.number()))

test('keeps values across runs, and only for --resume', async () => {
  const first = await open({ bits: 3 })
  expect(await first.once(numbers, async () => [1, 2])).toEqual([1, 2])
  const matrix = { rows: 1, cols: 2, data: Float32Array.of(3, 4) }
  await first.put(matrixKey('a/b'), matrix)
  await first.close()
  await expect(open({ bits: 3 })).rejects.toThrow(/unfinished run/)
  const second = await open({ bits: 3 }, true)
  expect(await second.once(numbers, async () => [9])).toEqual([1, 2])
  expect(await second.get(matrixKey('a/b'))).toEqual(matrix)
  expect(await second.get(matrixKey('missing'))).toBeUndefined()
  await second.remove()
  expect(await readdir(parent)).toEqual([])
})

test('a changed option is refused with its old and new value', async () => {
  const first = await open({ bits: 3, seed: 0 })
  await first.put(numbers, [1])
  await first.close()
  await expect(open({ bits: 2.5, seed: 0 }, true)).rejects.toMatchObject({
    code: 'changed-option',
    message: expect.stringMatching(/bits was 3 .* is 2\.5 now/),
  })
  await expect(open({ bits: 3, seed: 0, calibration: 'x' }, true)).rejects.toThrow(/calibration was not set/)
})

test('a value that cannot be read is an error that names the file', async () => {
  const checkpoint = await open({})
  await writeFile(join(folder, 'numbers.json'), '["three"]')
  await expect(checkpoint.get(numbers)).rejects.toMatchObject({
    code: 'bad-file',
    message: expect.stringContaining('numbers.json'),
    hint: expect.stringContaining('to start anew'),
  })
})

test('what lies there without its options is neither used nor removed', async () => {
  await mkdir(join(folder, 'matrices'), { recursive: true })
  await writeFile(join(folder, 'numbers.json'), '[7]')
  for (const resume of [false, true]) {
    await expect(open({ bits: 6 }, resume)).rejects.toMatchObject({
      code: 'bad-option',
      message: expect.stringMatching(/no run that can be continued: matrices, numbers\.json$/),
    })
  }
  expect((await readdir(folder)).sort()).toEqual(['matrices', 'numbers.json'])
})

test('a run that ends before it has kept anything leaves nothing; closing twice does no harm', async () => {
  const first = await open({ bits: 6 })
  await writeFile(join(first.scratch, 'activations'), 'x')
  await first.close()
  expect(await readdir(parent)).toEqual([])
  const second = await open({ bits: 3 })
  await first.close()
  await expect(open({}, true)).rejects.toThrow(/is being written/)
  await second.remove()
})

test('a run that was killed before it recorded its options starts anew', async () => {
  await mkdir(join(folder, 'scratch'), { recursive: true })
  await writeFile(join(folder, 'options.json.partial'), '{"ver')
  await (await open({ bits: 6 })).remove()
  expect(await readdir(parent)).toEqual([])
})

test('the work of another version is refused by number', async () => {
  await mkdir(folder)
  await writeFile(join(folder, 'options.json'), '{"bits":3}')
  await expect(open({ bits: 3 }, true)).rejects.toThrow(
    /version 0 of the work directory; this release reads 1/,
  )
})

test('a second run is refused while the first is at work', async () => {
  const first = await open({})
  await expect(open({}, true)).rejects.toThrow(/is being written by process \d+ \(this test\)/)
  await first.close()
})

test('a work directory that was deleted meanwhile is missed, also when something was put there since', async () => {
  const checkpoint = await open({})
  await checkpoint.refuseLoss()
  await rm(folder, { recursive: true })
  await checkpoint.put(numbers, [1])
  await expect(checkpoint.refuseLoss()).rejects.toMatchObject({
    code: 'io',
    message: expect.stringContaining('out.work is gone'),
    hint: expect.stringContaining('start anew'),
  })
})
