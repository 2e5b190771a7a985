// What has let files read or take memory that is not theirs, in readers of these formats elsewhere: each by its name.
import { getHeapStatistics } from 'node:v8'
import { expect, test } from 'vitest'
import { tokenizerFromGguf } from '../models/tokenizer/index.ts'
import { openGguf } from './gguf/index.ts'
import { openSafetensors } from './safetensors/index.ts'
import { bytesSource } from './source/index.ts'

const u32 = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer)
const u64 = (...values: bigint[]) => new Uint8Array(BigUint64Array.from(values).buffer)
const text = (value: string) => {
  const bytes = new TextEncoder().encode(value)
  return join(u64(BigInt(bytes.length)), bytes)
}
const join = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts))

/** Types of metadata values. */
const [U32, F32, STRING, ARRAY] = [4, 6, 8, 9]

interface Contents {
  readonly metadata?: readonly (readonly [key: string, type: number, value: Uint8Array])[]
  readonly tensors?: readonly (readonly [name: string, axes: readonly bigint[], offset: bigint])[]
  readonly counts?: readonly [tensors: bigint, values: bigint]
}

/** A GGUF file of float32 tensors, its data 64 zeros. */
function gguf({ metadata = [], tensors = [], counts }: Contents): Uint8Array {
  const [tensorCount, valueCount] = counts ?? [BigInt(tensors.length), BigInt(metadata.length)]
  const header = join(
    new TextEncoder().encode('GGUF'),
    u32(3),
    u64(tensorCount, valueCount),
    ...metadata.map(([key, type, value]) => join(text(key), u32(type), value)),
    ...tensors.map(([name, axes, offset]) =>
      join(text(name), u32(axes.length), u64(...axes), u32(0), u64(offset)),
    ),
  )
  return join(header, new Uint8Array(32 * Math.ceil(header.length / 32) - header.length + 64))
}
const open = (contents: Contents) => openGguf(bytesSource('x.gguf', gguf(contents)))
const array = (type: number, count: bigint, ...values: Uint8Array[]) => join(u32(type), u64(count), ...values)

test.each([
  ['one axis of 2⁶³ values', [2n ** 63n]],
  ['axes whose product is 2⁶⁴, which is 0 in 64 bits (CVE-2025-53630)', [2n ** 32n, 2n ** 32n]],
  ['axes whose product is 2⁶⁴ + 16 (CVE-2026-27940)', [2n ** 60n + 1n, 16n]],
  ['a size in bytes that is 2⁶⁴', [2n ** 62n]],
  ['axes of more than the file has (CVE-2026-7482)', [17n]],
])('GGUF: %s', async (_, axes) => {
  await expect(open({ tensors: [['t', axes, 0n]] })).rejects.toMatchObject({
    code: 'bad-file',
    message: expect.stringMatching(/^x\.gguf: .*tensor t|^x\.gguf: t/),
  })
})

test('GGUF: an offset that overflows when the size is added', async () => {
  await expect(open({ tensors: [['t', [16n], 2n ** 64n - 32n]] })).rejects.toMatchObject({ code: 'bad-file' })
})

test('GGUF: sizes that are right alone, and overflow in sum (CVE-2025-53630)', async () => {
  const tensors = ['a', 'b', 'c'].map(name => [name, [2n ** 61n], 0n] as const)
  await expect(open({ tensors })).rejects.toMatchObject({ code: 'bad-file' })
})

test('an axis of length 0 holds nothing, and nothing is read for it', async () => {
  const file = await open({
    tensors: [
      ['none', [0n, 2n ** 40n], 0n],
      ['some', [16n], 0n],
    ],
  })
  expect((await file.readFloat32('none')).data).toHaveLength(0)
  const header = { none: { dtype: 'F32', shape: [0, 2 ** 40], data_offsets: [0, 0] } }
  const json = new TextEncoder().encode(JSON.stringify(header))
  const opened = await openSafetensors(bytesSource('x.safetensors', join(u64(BigInt(json.length)), json)))
  expect((await opened.readFloat32('none')).data).toHaveLength(0)
})

test('an empty key and an empty name are read as they are', async () => {
  const one = join(u32(7))
  const file = await open({ metadata: [['', U32, one]], tensors: [['', [16n], 0n]] })
  expect(file.metadata['']).toBe(7)
  expect((await file.readFloat32('')).data).toHaveLength(16)
})

test.each([
  ['numbers for tokens', 'tokenizer.ggml.tokens', [1, 2]],
  ['texts for scores', 'tokenizer.ggml.scores', ['a', 'b']],
  ['texts for types of tokens', 'tokenizer.ggml.token_type', ['a', 'b']],
  ['numbers for merges', 'tokenizer.ggml.merges', [1]],
  ['one text for all tokens', 'tokenizer.ggml.tokens', 'ab'],
])('GGUF: an array of a wrong type, %s', (_, key, value) => {
  const metadata = {
    'tokenizer.ggml.model': key.endsWith('merges') ? 'gpt2' : 'llama',
    'tokenizer.ggml.tokens': ['a', 'b'],
    'tokenizer.ggml.scores': [0, 0],
    'tokenizer.ggml.token_type': [1, 1],
    [key]: value,
  }
  expect(() => tokenizerFromGguf(metadata)).toThrow(
    expect.objectContaining({ name: 'ReallmError', code: 'bad-file' }),
  )
})

test.each<[string, Contents]>([
  ['texts', { metadata: [['k', ARRAY, array(STRING, 2n ** 27n)]] }],
  ['numbers', { metadata: [['k', ARRAY, array(F32, 2n ** 28n)]] }],
  ['one text', { metadata: [['k', STRING, u64(2n ** 30n)]] }],
  ['metadata', { counts: [0n, 2n ** 26n] }],
  ['tensors', { counts: [2n ** 26n, 0n] }],
])('GGUF: a file of at most 160 bytes that asks for a gigabyte of %s', async (_, contents) => {
  expect(gguf(contents).length).toBeLessThanOrEqual(160)
  const before = getHeapStatistics()
  await expect(open(contents)).rejects.toMatchObject({ code: 'bad-file' })
  const after = getHeapStatistics()
  expect(after.external_memory - before.external_memory).toBeLessThan(2 ** 24)
  expect(after.used_heap_size - before.used_heap_size).toBeLessThan(2 ** 24)
})

test.each<[string, number, Uint8Array, string?]>([
  ['0', U32, u32(0)],
  ['24', U32, u32(24)],
  ['2³¹', U32, u32(2 ** 31), 'tensor t [16] of F32'],
  ['0.5', F32, new Uint8Array(Float32Array.of(0.5).buffer)],
  ['NaN', F32, new Uint8Array(Float32Array.of(Number.NaN).buffer)],
  ['a text', STRING, text('32')],
  ['an array', ARRAY, array(U32, 1n, u32(32))],
])('GGUF: an alignment of %s', async (_, type, value, named = 'general.alignment') => {
  const metadata = [['general.alignment', type, value] as const]
  await expect(open({ metadata, tensors: [['t', [16n], 0n]] })).rejects.toMatchObject({
    code: 'bad-file',
    message: expect.stringContaining(named),
  })
})
