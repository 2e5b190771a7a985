import { describe, expect, it } from 'vitest'
import { bytesSource } from '../source/index.ts'
import { layOutGguf, type PlannedGgufTensors } from './encode-header.ts'
import { openGguf } from './open.ts'
import type { GgufValue } from './values.ts'

/** A file of zeros under a header; `patch` overwrites bytes where `find` (text) ends. */
function fileOf(
  metadata: Record<string, GgufValue>,
  tensors: PlannedGgufTensors,
  patch?: { readonly after: string; readonly skip?: number; readonly with: readonly number[] },
): Uint8Array {
  const { header, bytes } = layOutGguf(metadata, tensors)
  const file = new Uint8Array(bytes)
  file.set(header)
  if (patch)
    file.set(patch.with, Buffer.from(file).indexOf(patch.after) + patch.after.length + (patch.skip ?? 0))
  return file
}

const open = (file: Uint8Array) => openGguf(bytesSource('x.gguf', file))
const one: PlannedGgufTensors = { abc: { type: 'F32', shape: [2, 32] } }
const two: PlannedGgufTensors = {
  abc: { type: 'F32', shape: [2, 32] },
  xyz: { type: 'Q8_0', shape: [1, 32] },
}
const u32 = (value: number): GgufValue => ({ type: 'uint32', value })
const huge = [255, 255, 255, 255, 255, 255, 255, 127]

describe('a header is refused', () => {
  const refused: [what: string, file: Uint8Array, message: string | RegExp][] = [
    ['empty', new Uint8Array(0), 'x.gguf: it is no GGUF file'],
    ['other magic', new TextEncoder().encode('GGML0000'), 'it is no GGUF file'],
    [
      'version 1',
      fileOf({}, one, { after: 'GGUF', with: [1] }),
      'GGUF version 1; versions 2 and 3 are known',
    ],
    ['big-endian', fileOf({}, one, { after: 'GGUF', with: [0, 0, 0, 3] }), 'for big-endian machines'],
    ['truncated', fileOf({}, one).slice(0, 40), 'it ends inside its header, after 40 bytes'],
    ['too many tensors', fileOf({}, one, { after: 'GGUF', skip: 4, with: huge }), /should hold \d+ tensors/],
    [
      'too many values',
      fileOf({}, one, { after: 'GGUF', skip: 12, with: huge }),
      /should hold \d+ metadata values/,
    ],
    [
      'long text',
      fileOf({ key: { type: 'string', value: 'a' } }, one, { after: 'key', skip: 4, with: huge }),
      'bytes of text',
    ],
    [
      'long array',
      fileOf({ key: { type: 'uint8', value: [1] } }, one, { after: 'key', skip: 8, with: huge }),
      'values of key',
    ],
    [
      'unknown value type',
      fileOf({ key: u32(1) }, one, { after: 'key', with: [13] }),
      'key has the unknown value type 13',
    ],
    [
      'a key twice',
      fileOf({ kay: u32(1), key: u32(2) }, one, { after: 'k', with: [101] }),
      'a metadata key is there twice',
    ],
    ['bad alignment', fileOf({ 'general.alignment': u32(24) }, one), 'general.alignment is 24'],
    ['too many axes', fileOf({}, one, { after: 'abc', with: [5] }), 'tensor abc has 5 axes'],
    [
      'a long axis',
      fileOf({}, one, { after: 'abc', skip: 4, with: huge }),
      'tensor abc has an axis of length 9223',
    ],
    [
      'unknown type',
      fileOf({}, one, { after: 'abc', skip: 20, with: [99] }),
      'tensor abc has the unknown type 99',
    ],
    [
      'rows of broken blocks',
      fileOf({}, one, { after: 'abc', skip: 20, with: [12] }),
      'abc [2×32] of Q4_K: its blocks of 256',
    ],
    ['data beyond the end', fileOf({}, one).slice(0, -1), /abc \[2×32\] of F32 should end at byte \d+, but/],
    ['offset beyond the end', fileOf({}, one, { after: 'abc', skip: 24, with: huge }), /should end at byte/],
    [
      'crooked offset',
      fileOf({}, two, { after: 'abc', skip: 24, with: [8] }),
      'does not start at a multiple of 32',
    ],
    [
      'overlap',
      fileOf({}, two, { after: 'xyz', skip: 24, with: [224, 0] }),
      'the tensors abc and xyz overlap',
    ],
    [
      'a name twice',
      fileOf({}, two, { after: 'xy', with: [] }).map((b, i, f) => nameTwice(b, i, f)),
      'tensor abc is listed twice',
    ],
  ]

  it.each(refused)('%s', async (_, file, message) => {
    await expect(open(file)).rejects.toMatchObject({ name: 'ReallmError' })
    await expect(open(file)).rejects.toThrow(message)
  })

  it('arrays nested without end', async () => {
    const nested = Array.from({ length: 50 }, () => [9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]).flat()
    const file = fileOf({ key: { type: 'uint8', value: Array(700).fill(0) } }, one, {
      after: 'key',
      with: [9, 0, 0, 0, ...nested],
    })
    await expect(open(file)).rejects.toThrow('the arrays of key are nested too deep')
  })
})

describe('a header is read', () => {
  it('in version 2, with another alignment and more than the first megabyte', async () => {
    const tokens = Array.from({ length: 100_000 }, (_, i) => `token ${i}`)
    const file = fileOf({ tokens: { type: 'string', value: tokens } }, one, { after: 'GGUF', with: [2] })
    const read = await open(file)
    expect(read.version).toBe(2)
    expect(read.metadata.tokens).toEqual(tokens)
    expect((await read.readFloat32('abc', [1, 2])).shape).toEqual([1, 32])
    await expect(read.readFile('config.json')).rejects.toThrow('a GGUF file has no config.json')
  })
})

/** Turns the name xyz into abc. */
function nameTwice(byte: number, i: number, file: Uint8Array): number {
  const at = Buffer.from(file).indexOf('xyz')
  return i >= at && i < at + 3 ? byte - 23 : byte
}
