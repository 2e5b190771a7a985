import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readNamed } from './read-named.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reallm-named-'))
})
afterAll(() => rm(folder, { recursive: true }))

const text = async (bytes: Promise<Uint8Array>) => new TextDecoder().decode(await bytes)

test('reads a file whole', async () => {
  await writeFile(join(folder, 'file'), 'the sea')
  expect(await text(readNamed(join(folder, 'file')))).toBe('the sea')
})

test('says which file cannot be read', async () => {
  await expect(readNamed(folder)).rejects.toThrow(`${folder} is a directory, not a file`)
  await expect(readNamed(join(folder, 'none'))).rejects.toThrow('none: no such file')
})

test.skipIf(process.platform === 'win32')('reads a pipe to its end, and no device without one', async () => {
  const pipe = join(folder, 'pipe')
  execFileSync('mkfifo', [pipe])
  const read = text(readNamed(pipe))
  await writeFile(pipe, 'the whale')
  expect(await read).toBe('the whale')
  await expect(readNamed('/dev/zero', 100_000)).rejects.toThrow(
    '/dev/zero is a pipe or a device that gives more than 100000 bytes',
  )
})
