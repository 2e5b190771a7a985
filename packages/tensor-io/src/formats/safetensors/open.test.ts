import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { toFloat32 } from '../../core/float.ts'
import { tensor, tensorBytes } from '../../core/tensor.ts'
import { bytesSource } from '../source/index.ts'
import { encodeSafetensors } from './encode.ts'
import { openSafetensors } from './open.ts'

const fixtures = new URL('../../../test/fixtures/', import.meta.url)
const golden = async () =>
  bytesSource('dtypes.safetensors', await readFile(new URL('dtypes.safetensors', fixtures)))

/** A file with any header over `dataBytes` zeros. */
function fileOf(header: unknown, dataBytes: number, length?: bigint): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header))
  const file = new Uint8Array(8 + json.length + dataBytes)
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(json.length), true)
  file.set(json, 8)
  return file
}

const open = (file: Uint8Array) => openSafetensors(bytesSource('x.safetensors', file))
const f32 = (from: number, to: number, shape = [(to - from) / 4]) => ({
  dtype: 'F32',
  shape,
  data_offsets: [from, to],
})

describe('openSafetensors', () => {
  it('reads every dtype', async () => {
    const file = await openSafetensors(await golden())
    const expected = JSON.parse(await readFile(new URL('dtypes.expected.json', fixtures), 'utf8'))
    expect(file.metadata).toEqual({ note: 'ü', format: 'pt' })
    expect([...file.tensors.keys()].sort()).toEqual(Object.keys(expected).sort())
    for (const [name, { shape, values }] of Object.entries<{ shape: number[]; values: number[] }>(expected)) {
      const read = await file.read(name)
      expect(read.shape).toEqual(shape)
      expect([...toFloat32(read)]).toEqual(values.map(Math.fround))
    }
    await file.close()
  })

  it('reads rows', async () => {
    const file = await openSafetensors(await golden())
    const all = await file.readFloat32('bf16')
    const some = await file.readFloat32('bf16', [1, 3])
    expect(some.shape).toEqual([2, 7])
    expect(some.data).toEqual(all.data.slice(7, 21))
    expect((await file.read('i64', [4, 5])).data).toEqual((await file.read('i64')).data.slice(28))
    expect((await file.read('empty', [0, 0])).shape).toEqual([0, 3])
    await expect(file.read('bf16', [3, 6])).rejects.toThrow('bf16 [5×7]: there are no rows 3 to 6')
    await expect(file.read('scalar', [0, 1])).rejects.toMatchObject({ code: 'bad-option' })
  })

  it('takes metadata that are null for none, as the reference does', async () => {
    const file = await open(fileOf({ __metadata__: null, a: f32(0, 4) }, 4))
    expect(file.metadata).toEqual({})
    expect([...file.tensors.keys()]).toEqual(['a'])
  })

  it('names the nearest tensor', async () => {
    const file = await openSafetensors(await golden())
    await expect(file.read('bf15')).rejects.toMatchObject({
      code: 'not-found',
      hint: 'the nearest name is bf16',
    })
  })
})

describe('a header is refused', () => {
  const refused: [what: string, file: Uint8Array, message: string | RegExp][] = [
    ['short file', new Uint8Array(7), 'x.safetensors: it has 7 bytes'],
    [
      'length 2^63',
      fileOf({}, 0, 2n ** 63n),
      'header should take 9223372036854775808 bytes, but the file has 10',
    ],
    ['length beyond the file', fileOf({}, 0, 3n), 'header should take 3 bytes'],
    ['no JSON', fileOf('{"a":', 0), 'its header is not JSON'],
    ['no object', fileOf('[]', 0), 'its header is not a JSON object'],
    ['broken UTF-8', fileOf('{"a":1}', 0).fill(0xff, 9, 10), 'its header is not JSON'],
    [
      'metadata that is no strings',
      fileOf({ __metadata__: { a: 1 } }, 0),
      '__metadata__ must map names to strings',
    ],
    ['an entry that is no object', fileOf({ a: 3 }, 0), 'tensor a has no dtype'],
    [
      'an unknown dtype',
      fileOf({ a: { ...f32(0, 4), dtype: 'F33' } }, 4),
      'tensor a has the unknown dtype F33',
    ],
    ['an inherited dtype', fileOf({ a: { ...f32(0, 4), dtype: 'toString' } }, 4), 'unknown dtype toString'],
    ['a negative size', fileOf({ a: f32(0, 4, [-1, -1]) }, 4), 'tensor a has no valid shape'],
    [
      'a huge shape',
      fileOf({ a: f32(0, 4, [2 ** 40, 2 ** 40]) }, 4),
      'takes 4.835703278458517e+24 bytes, not 4',
    ],
    ['a shape that overflows', fileOf({ a: f32(0, 4, Array(40).fill(2 ** 40)) }, 4), 'takes Infinity bytes'],
    ['offsets backwards', fileOf({ a: f32(4, 0, [1]) }, 4), 'tensor a has no valid data_offsets'],
    [
      'a truncated tensor',
      fileOf({ a: f32(0, 8) }, 4),
      /tensor a \[2\] should end at byte \d+, but the file has \d+/,
    ],
    ['overlap', fileOf({ a: f32(0, 8), b: f32(4, 12) }, 12), 'tensor b overlaps the one before it'],
    ['a hole', fileOf({ a: f32(0, 4), b: f32(8, 12) }, 12), '4 bytes before tensor b belong to no tensor'],
    ['bytes left over', fileOf({ a: f32(0, 4) }, 5), '1 bytes after the last tensor'],
    ['wrong size', fileOf({ a: f32(0, 8, [3]) }, 8), 'tensor a [3] of F32 takes 12 bytes, not 8'],
    [
      'a name twice',
      fileOf(
        `{"\\u0061" : ${JSON.stringify(f32(0, 4))}, "a\\"": ${JSON.stringify(f32(4, 8))}, "a":${JSON.stringify(f32(0, 4))}}`,
        8,
      ),
      'tensor a is listed twice',
    ],
  ]

  it.each(refused)('%s', async (_, file, message) => {
    await expect(open(file)).rejects.toMatchObject({ name: 'ReallmError' })
    await expect(open(file)).rejects.toThrow(message)
  })
})

describe('encodeSafetensors', () => {
  it('comes back, aligned, and does not depend on the order of names', async () => {
    const tensors = {
      odd: tensor('U8', [3], Uint8Array.of(1, 2, 3)),
      wide: tensor('F64', [1], Float64Array.of(Math.PI)),
      ['__proto__']: tensor('BF16', [2, 1], Uint16Array.of(7, 8)),
      '7': tensor('F32', [], Float32Array.of(2)),
    }
    const bytes = encodeSafetensors(tensors, { b: '2', a: '1' })
    const file = await open(bytes)
    for (const [name, t] of Object.entries(tensors)) {
      const entry = file.tensors.get(name)!
      expect(entry.start % (entry.bytes / Math.max(1, t.data.length))).toBe(0)
      const read = await file.read(name)
      expect([read.dtype, read.shape, tensorBytes(read)]).toEqual([t.dtype, t.shape, tensorBytes(t)])
    }
    expect(file.metadata).toEqual({ a: '1', b: '2' })
    const reversed = Object.fromEntries(Object.entries(tensors).reverse())
    expect(encodeSafetensors(reversed, { a: '1', b: '2' })).toEqual(bytes)
  })
})
