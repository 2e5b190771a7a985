import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openJournal, requireEmpty } from './journal.ts'

let folder: string
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'journal-'))))
afterEach(() => rm(folder, { recursive: true, force: true }))

test('remembers across runs, and only with --resume', async () => {
  const first = await openJournal(join(folder, 'w'), { bits: 3 }, false)
  expect(await first.remember('plan.json', async () => [1, 2])).toEqual([1, 2])
  await expect(openJournal(join(folder, 'w'), { bits: 3 }, false)).rejects.toThrow(/unfinished run/)
  const second = await openJournal(join(folder, 'w'), { bits: 3 }, true)
  expect(second.resumed).toBe(true)
  expect(await second.remember('plan.json', async () => [9])).toEqual([1, 2])
  expect(await second.read('missing')).toBeUndefined()
})

test('a changed option is refused with its old and new value', async () => {
  await openJournal(folder, { bits: 3, seed: 0 }, true)
  await expect(openJournal(folder, { bits: 2.5, seed: 0 }, true)).rejects.toMatchObject({
    code: 'changed-option',
    message: expect.stringMatching(/bits was 3 .* is 2\.5 now/),
  })
  await expect(openJournal(folder, { bits: 3, seed: 0, calibration: 'x' }, true)).rejects.toThrow(
    /calibration was not set/,
  )
})

test('leaves no temporary files', async () => {
  const journal = await openJournal(folder, {}, false)
  await journal.write('a.bin', Uint8Array.of(1))
  expect((await readdir(folder)).sort()).toEqual(['a.bin', 'options.json', 'scratch'])
})

test('an output directory with something in it needs --force', async () => {
  await requireEmpty(join(folder, 'new'), false)
  await writeFile(join(folder, 'x'), '')
  await expect(requireEmpty(folder, false)).rejects.toMatchObject({
    hint: expect.stringContaining('--force'),
  })
  await requireEmpty(folder, true)
  await expect(requireEmpty(join(folder, 'x'), true)).rejects.toThrow(/is a file/)
})
