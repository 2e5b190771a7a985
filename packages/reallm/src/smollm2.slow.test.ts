import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { reallm } from '../test/cli.ts'

afterEach(() => vi.unstubAllGlobals())

test('npm:@reallm/smollm2 talks without a network', { timeout: 240_000 }, async () => {
  vi.stubGlobal('fetch', () => Promise.reject(new Error('no network')))
  const { code, out, err } = await reallm(['chat', 'npm:@reallm/smollm2', '--temperature', '0', '-n', '16'], {
    stdin: 'What is the capital of France?',
  })
  expect(code, err).toBe(0)
  expect(out).toContain('Paris')
})

test('its files have at most 8 MB, and its licence and attribution are there', async () => {
  const folder = join(import.meta.dirname, '..', '..', 'smollm2')
  for (const file of await readdir(join(folder, 'model')))
    expect((await stat(join(folder, 'model', file))).size, file).toBeLessThanOrEqual(8e6)
  expect(await readdir(folder)).toEqual(expect.arrayContaining(['LICENSE', 'NOTICE', 'README.md']))
})
