import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tensor } from '@reallm/tensor-io'
import { fixture } from '@reallm/testing'
import { writeAdapter } from '@reallm/transformer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { reallm } from '../test/cli.ts'

const golden = fixture('models/llama-gqa-tied')
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

describe('--adapter DIR reads the adapter of a directory that holds a model too', () => {
  test('eval', async () => {
    const dir = join(folder, 'tuned')
    await cp(golden, dir, { recursive: true })
    await cp(fixture('peft/lora'), dir, { recursive: true })
    const { loss } = JSON.parse(await readFile(fixture('peft/lora/expected.json'), 'utf8'))
    const tokens = join(golden, 'tokens.json')
    const { code, out } = await reallm(['eval', golden, '--adapter', dir, '--tokens', tokens, '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(out).loss).toBeCloseTo(loss, 3)
  })

  test('generate', async () => {
    const dir = join(folder, 'with-model')
    await cp(tiny, dir, { recursive: true })
    const { hidden_size: width, intermediate_size: inner } = JSON.parse(
      await readFile(join(tiny, 'config.json'), 'utf8'),
    )
    const filled = (rows: number, cols: number) =>
      tensor(
        'F32',
        [rows, cols],
        new Float32Array(rows * cols).map((_, i) => Math.sin(i)),
      )
    const change = { a: filled(2, inner), b: filled(width, 2), scaling: 4 }
    await writeAdapter(dir, { modules: new Map([['model.layers.0.mlp.down_proj', change]]) })
    const generate = ['generate', tiny, '-p', 'The whale', '-n', '8']
    const plain = await reallm(generate)
    const adapted = await reallm([...generate, '--adapter', dir])
    expect([plain.code, adapted.code, adapted.err]).toEqual([0, 0, ''])
    expect(adapted.out).not.toBe(plain.out)
  })
})
