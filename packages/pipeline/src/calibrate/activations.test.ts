import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { activations, fileScratch, memoryScratch } from './activations.ts'

test('a file gives back what memory gives back, and goes away', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'activations-'))
  for (const store of [await activations(memoryScratch), await activations(fileScratch(folder))]) {
    await store.set(1, Float32Array.of(4, 5, 6))
    await store.set(0, Float32Array.of(1, 2, 3))
    await store.set(1, Float32Array.of(7, 8, 9))
    expect([...(await store.get(0)), ...(await store.get(1))]).toEqual([1, 2, 3, 7, 8, 9])
    await store.close()
  }
  expect(await readdir(folder)).toEqual([])
  await rm(folder, { recursive: true })
})
