import { existsSync } from 'node:fs'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeFolder } from './make-folder.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reallm-folder-'))
})
afterAll(() => rm(folder, { recursive: true }))

test('makes a directory and those above, several at once too', async () => {
  const path = join(folder, 'a', 'b', 'c')
  await Promise.all([makeFolder(path), makeFolder(path), makeFolder(join(folder, 'a'))])
  expect((await stat(path)).isDirectory()).toBe(true)
  await makeFolder(path)
  await makeFolder('/')
})

test('a file is in the way', async () => {
  await writeFile(join(folder, 'file'), '')
  await expect(makeFolder(join(folder, 'file'))).rejects.toThrow('EEXIST')
  await expect(makeFolder(join(folder, 'file', 'inside'))).rejects.toThrow('ENOTDIR')
})

test.skipIf(!existsSync('/proc'))('ends where none can be made', async () => {
  await expect(makeFolder('/proc/reallm/a/b')).rejects.toThrow('ENOENT')
})
