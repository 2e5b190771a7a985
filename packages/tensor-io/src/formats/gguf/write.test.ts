import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from '../../core/float.ts'
import { random } from '../../core/random.ts'
import { openFileSource } from '../source/disk.ts'
import { openGguf } from './open.ts'
import type { GgufValue } from './values.ts'
import { createGgufWriter } from './write.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'reallm-gguf-'))
})
afterEach(() => rm(dir, { recursive: true }))

const metadata: Record<string, GgufValue> = {
  'general.architecture': { type: 'string', value: 'llama' },
  'a.u8': { type: 'uint8', value: 200 },
  'a.i8': { type: 'int8', value: -3 },
  'a.u16': { type: 'uint16', value: 65535 },
  'a.i16': { type: 'int16', value: -300 },
  'a.u32': { type: 'uint32', value: 2 ** 32 - 1 },
  'a.i32': { type: 'int32', value: -5 },
  'a.f32': { type: 'float32', value: 0.5 },
  'a.f64': { type: 'float64', value: Math.PI },
  'a.u64': { type: 'uint64', value: 2n ** 64n - 1n },
  'a.i64': { type: 'int64', value: -7 },
  'a.bool': { type: 'bool', value: true },
  'tokenizer.ggml.tokens': { type: 'string', value: ['a', 'Ġb', ''] },
  'tokenizer.ggml.scores': { type: 'float32', value: [0.25, -1] },
}

describe('createGgufWriter', () => {
  it('writes what openGguf reads, metadata of every type included', async () => {
    const draw = random(1)
    const values = Float32Array.from({ length: 3 * 64 }, () => draw.normal())
    const shape = [3, 64]
    const path = join(dir, 'x.gguf')
    const writer = await createGgufWriter(path, metadata, {
      f16: { type: 'F16', shape },
      q8: { type: 'Q8_0', shape },
      norm: { type: 'F32', shape: [5] },
      bf16: { type: 'BF16', shape },
    })
    for (const name of ['q8', 'bf16', 'f16']) await writer.write(name, values)
    await writer.write('norm', values.subarray(0, 5))
    await writer.finish()

    const source = await openFileSource(path)
    expect(source.size).toBe(writer.bytes)
    const file = await openGguf(source)
    expect(file).toMatchObject({ version: 3, kind: 'gguf', bytes: writer.bytes })
    expect(file.metadata).toEqual(Object.fromEntries(Object.entries(metadata).map(([k, v]) => [k, v.value])))
    expect(file.types).toEqual(Object.fromEntries(Object.entries(metadata).map(([k, v]) => [k, v.type])))
    expect((await file.readFloat32('f16')).data).toEqual(f16ToF32(f32ToF16(values)))
    expect((await file.readFloat32('bf16')).data).toEqual(bf16ToF32(f32ToBf16(values)))
    expect((await file.read('norm')).data).toEqual(values.slice(0, 5))
    const q8 = (await file.readFloat32('q8')).data
    for (let block = 0; block < 6; block++) {
      const largest = Math.max(...values.slice(32 * block, 32 * block + 32).map(Math.abs))
      for (let i = 32 * block; i < 32 * block + 32; i++) {
        expect(Math.abs(q8[i] - values[i])).toBeLessThanOrEqual((largest / 127) * 0.51 + largest * 2 ** -11)
      }
    }
    await file.close()
  })

  it('refuses shapes that a type cannot hold, and files that lack a tensor', async () => {
    const planned = { 'blk.0.x': { type: 'Q8_0', shape: [2, 48] } } as const
    await expect(createGgufWriter(join(dir, 'x'), {}, planned)).rejects.toThrow(
      'blk.0.x [2×48] cannot be written as Q8_0',
    )
    const writer = await createGgufWriter(join(dir, 'x'), {}, { a: { type: 'F32', shape: [2] } })
    await expect(writer.write('a', new Float32Array(3))).rejects.toThrow('a [2] has 2 values, got 3')
    await expect(writer.write('b', new Float32Array(3))).rejects.toMatchObject({ code: 'not-found' })
    await expect(writer.finish()).rejects.toThrow('1 planned tensors were not written')
    expect(await readdir(dir)).toEqual([])
  })
})
