import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openFiles, openModel } from '../open/index.ts'
import { bytesSource } from '../source/index.ts'
import { partNames } from './part-names.ts'
import { createGgufWriter } from './write.ts'

const folder = mkdtempSync(join(tmpdir(), 'split-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Writes a part with one tensor of ones, two or threes, and returns its path. */
async function writePart(
  stem: string,
  number: number,
  count: number,
  more: Record<string, number> = {},
  tensor = `t${number}`,
) {
  const path = join(folder, `${stem}-0000${number}-of-0000${count}.gguf`)
  const values = { 'split.no': number - 1, 'split.count': count, 'split.tensors.count': count, ...more }
  const metadata = {
    ...(number === 1 && { 'general.architecture': { type: 'string', value: 'llama' } as const }),
    ...Object.fromEntries(
      Object.entries(values).map(([key, value]) => [key, { type: 'uint16', value } as const]),
    ),
  }
  const writer = await createGgufWriter(path, metadata, { [tensor]: { type: 'F32', shape: [2, 2] } })
  await writer.write(tensor, new Float32Array(4).fill(number))
  await writer.finish()
  return path
}

describe('a split GGUF file', () => {
  const paths: string[] = []
  beforeAll(async () => {
    for (const number of [1, 2, 3]) paths.push(await writePart('m', number, 3))
  })

  it('opens whole, whichever part is named', async () => {
    for (const path of paths) {
      const model = await openModel(path)
      expect(model.kind).toBe('gguf')
      expect(model.metadata['general.architecture']).toBe('llama')
      expect([...model.tensors.keys()]).toEqual(['t1', 't2', 't3'])
      for (const n of [1, 2, 3]) expect([...(await model.readFloat32(`t${n}`, [1, 2])).data]).toEqual([n, n])
      await expect(model.readFloat32('t4')).rejects.toMatchObject({ code: 'not-found' })
      const sizes = await Promise.all(paths.map(async part => (await readFile(part)).length))
      expect(model.bytes).toBe(sizes.reduce((a, b) => a + b))
      await model.close()
    }
  })

  it('is the model of a directory with nothing else, and of files in hand', async () => {
    const whole = await openModel(folder)
    expect(whole.tensors.size).toBe(3)
    await whole.close()
    const files = await Promise.all(
      paths.map(async path => ({
        name: path,
        source: bytesSource(path, new Uint8Array(await readFile(path))),
      })),
    )
    expect((await openFiles(files)).tensors.size).toBe(3)
    await expect(openFiles(files.slice(0, 1))).rejects.toThrow('the shard m-00002-of-00003.gguf is missing')
  })

  it.each<[string, Parameters<typeof writePart>[], string]>([
    ['a missing part', [['a', 1, 2]], 'the shard a-00002-of-00002.gguf is missing'],
    [
      'parts in another order',
      [
        ['b', 1, 2, { 'split.no': 1 }],
        ['b', 2, 2],
      ],
      'b-00001-of-00002.gguf: it says to be part 2 of 2',
    ],
    [
      'parts of another split',
      [
        ['c', 1, 2],
        ['c', 2, 2, { 'split.count': 3 }],
      ],
      'it says to be part 2 of 3',
    ],
    [
      'fewer tensors',
      [
        ['d', 1, 2, { 'split.tensors.count': 9 }],
        ['d', 2, 2],
      ],
      'hold 2 tensors, they should hold 9',
    ],
    [
      'a tensor twice',
      [
        ['e', 1, 2],
        ['e', 2, 2, {}, 't1'],
      ],
      'a tensor is in two of its 2 parts',
    ],
    [
      'a part under another name',
      [['f', 1, 1, { 'split.count': 2 }]],
      'it is one of 2 parts of a split model',
    ],
  ])('refuses %s', async (_, parts, message) => {
    const paths: string[] = []
    for (const part of parts) paths.push(await writePart(...part))
    await expect(openModel(paths[0])).rejects.toThrow(message)
  })
})

describe('partNames', () => {
  it('gives all parts, and nothing for other names', () => {
    expect(partNames('dir/m-00002-of-00002.gguf')).toEqual([
      'dir/m-00001-of-00002.gguf',
      'dir/m-00002-of-00002.gguf',
    ])
    for (const name of [
      'm.gguf',
      'm-00000-of-00002.gguf',
      'm-00003-of-00002.gguf',
      'm-1-of-2.gguf',
      'm-00001-of-00002.safetensors',
    ]) {
      expect(partNames(name)).toBeUndefined()
    }
  })
})
