import { unzipSync } from 'fflate'
import { expect, test } from 'vitest'
import { zip } from '../.vitepress/theme/shared/zip.ts'

test('a zip archive holds the files as they are, and is the same for the same files', async () => {
  const files = new Map([
    ['config.json', new TextEncoder().encode('{"größe": 1}')],
    ['model.safetensors', Uint8Array.from({ length: 70_000 }, (_, i) => i * 7)],
    ['empty.txt', new Uint8Array()],
  ])
  const archive = new Uint8Array(await zip(files).arrayBuffer())
  expect(unzipSync(archive)).toEqual(Object.fromEntries(files))
  expect(archive.length).toBeLessThan(70_000 + 500)
  expect(new Uint8Array(await zip(files).arrayBuffer())).toEqual(archive)
})
