import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { reallm } from '../test/cli.ts'

const tiny = fileURLToPath(new URL('../../tiny/model', import.meta.url))

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reallm-reading-'))
})
afterAll(() => rm(folder, { recursive: true }))

const written = async (name: string, contents: string | Uint8Array) => {
  await writeFile(join(folder, name), contents)
  return join(folder, name)
}

describe('texts that are not UTF-8 are refused by name, with the way out', () => {
  const text = 'Der Wal schwimmt über das Meer. '.repeat(40)
  const encodings = [
    ['utf16.txt', Buffer.from(`\ufeff${text}`, 'utf16le'), 'utf16.txt is UTF-16: save it as UTF-8'],
    ['latin1.txt', Buffer.from(text, 'latin1'), 'latin1.txt, line 1 is not UTF-8'],
  ] as const

  test.each(encodings)('%s', async (name, bytes, message) => {
    const file = await written(name, bytes)
    for (const args of [
      ['eval', tiny, '--text', file, '--ctx', '64', '--windows', '1'],
      ['plan', tiny, '--effort', 'fast', '--calib', file],
      ['compress', tiny, '-o', join(folder, 'out'), '-b', '4', '--calib', file],
      ['finetune', tiny, '-o', join(folder, 'out'), '--data', file],
    ]) {
      const { code, out, err } = await reallm(args)
      expect({ code, out }).toEqual({ code: 1, out: '' })
      expect(err).toContain(`${message}\n  hint: `)
    }
  })
})
