import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { openFileSource } from '../source/file-source.ts'
import { bytesSource } from '../source/source.ts'
import { readImatrix, writeImatrix } from './index.ts'

const fixture = (name: string) => fileURLToPath(new URL(`../../../test/fixtures/${name}`, import.meta.url))
const read = async (name: string) => readImatrix(await openFileSource(fixture(name)))
const bytesOf = async (name: string) => new Uint8Array(await readFile(fixture(name)))
const readBytes = (bytes: Uint8Array) => readImatrix(bytesSource('given', bytes))

describe('readImatrix', () => {
  it('reads both forms that llama.cpp writes, to the same numbers', async () => {
    const [gguf, legacy] = [await read('tiny.imatrix.gguf'), await read('tiny.imatrix.dat')]
    expect(gguf.tensors.size).toBe(6 * 7)
    expect([...gguf.tensors.keys()].sort()).toEqual([...legacy.tensors.keys()].sort())
    expect(gguf).toMatchObject({ datasets: ['calibration.txt'], chunks: 16, chunkSize: 128 })
    expect(legacy).toMatchObject({ datasets: ['calibration.txt'], chunks: 16 })
    expect(gguf.tensors.get('blk.3.ffn_down.weight')).toMatchObject({ tokens: [16 * 128] })
    for (const [name, { meanSquares }] of gguf.tensors) {
      const other = legacy.tensors.get(name)!.meanSquares
      expect(other.length).toBe(meanSquares.length)
      for (const [i, v] of meanSquares.entries()) expect(Math.abs(other[i] / v - 1)).toBeLessThan(1e-5)
    }
  })

  it('reads what it writes', async () => {
    const imatrix = await read('tiny.imatrix.gguf')
    const stack = { meanSquares: Float32Array.of(1, 2, 3, 4, 5, 6), tokens: [4, 0] }
    const folder = await mkdtemp(join(tmpdir(), 'reallm-imatrix-'))
    const path = join(folder, 'written.gguf')
    await writeImatrix(path, {
      ...imatrix,
      tensors: new Map([...imatrix.tensors, ['blk.0.ffn_up_exps.weight', stack]]),
    })
    const again = await readImatrix(await openFileSource(path))
    await rm(folder, { recursive: true })
    expect(again).toMatchObject({ datasets: imatrix.datasets, chunks: 16, chunkSize: 128 })
    expect(again.tensors.size).toBe(imatrix.tensors.size + 1)
    const [name, { meanSquares }] = [...imatrix.tensors][5]
    const found = again.tensors.get(name)!.meanSquares
    for (const [i, v] of meanSquares.entries()) expect(Math.abs(found[i] / v - 1)).toBeLessThan(1e-6)
    // of what no token reached all inputs count alike
    expect([...again.tensors.get('blk.0.ffn_up_exps.weight')!.meanSquares]).toEqual([1, 2, 3, 1, 1, 1])
  })

  it.each(['tiny.imatrix.gguf', 'tiny.imatrix.dat'])(
    'refuses damaged %s, and allocates no more than it holds',
    async name => {
      const whole = await bytesOf(name)
      for (const length of [0, 3, 11, 40, 1000, whole.length / 2]) {
        await expect(readBytes(whole.subarray(0, length))).rejects.toMatchObject({ code: 'bad-file' })
      }
      const negative = whole.slice()
      negative.set(
        Uint8Array.of(0, 0, 0x80, 0xbf),
        name.endsWith('dat') ? 4 + 4 + 'blk.0.attn_k.weight'.length + 8 : whole.length - 64,
      )
      await expect(readBytes(negative)).rejects.toThrow(/no importance matrix|no mean squares/)
    },
  )

  it('bounds the lengths that an older file declares', async () => {
    const whole = await bytesOf('tiny.imatrix.dat')
    for (const at of [0, 4, 4 + 4 + 'blk.0.attn_k.weight'.length + 4]) {
      for (const length of [-1, 0, 2 ** 31 - 1]) {
        const bytes = whole.slice()
        new DataView(bytes.buffer).setInt32(at, length, true)
        await expect(readBytes(bytes)).rejects.toThrow(/given is no importance matrix of llama\.cpp/)
      }
    }
  })

  it('refuses a GGUF file of something else', async () => {
    await expect(read('all-types.gguf')).rejects.toThrow(
      'is no importance matrix of llama.cpp: it has no entries',
    )
  })
})
