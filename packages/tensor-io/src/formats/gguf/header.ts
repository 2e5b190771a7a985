import { type GgufType, ggufTypes } from '../../codec/gguf-blocks/types.ts'
import { ReallmError } from '../../core/errors.ts'
import type { ByteSource, ReadOptions } from '../source/source.ts'
import type { TensorInfo } from '../store.ts'
import { type Cursor, cursorOver, MoreBytesNeeded } from './cursor.ts'
import { type GgufValueType, smallestSize, valueTypes } from './values.ts'

/** Where a tensor lies in a GGUF file; offsets count from the file's first byte. */
export interface GgufEntry extends TensorInfo {
  readonly type: GgufType
  readonly start: number
}

export interface GgufHeader {
  readonly version: number
  readonly metadata: Readonly<Record<string, unknown>>
  /** Types of the metadata values; those of the elements for arrays. */
  readonly types: Readonly<Record<string, GgufValueType>>
  readonly tensors: ReadonlyMap<string, GgufEntry>
}

const damaged = 'the file is damaged or truncated: copy or download it again'
const firstBytes = 1 << 20
const deepestArray = 4

/**
 * Reads and checks a GGUF header (versions 2 and 3): all counts and lengths against the size of the file before
 * anything of that size is allocated, types, alignment and offsets. Throws `bad-file` or `unsupported`.
 */
export async function readHeader(source: ByteSource, options?: ReadOptions): Promise<GgufHeader> {
  for (let length = firstBytes; ; length *= 4) {
    const end = Math.min(length, source.size)
    const bytes = await source.read(0, end, options)
    try {
      return parse(source, cursorOver(bytes))
    } catch (error) {
      if (!(error instanceof MoreBytesNeeded)) throw error
      if (end === source.size)
        throw refuse(source.name, `it ends inside its header, after ${end} bytes`, damaged)
    }
  }
}

function parse({ name, size }: ByteSource, cursor: Cursor): GgufHeader {
  const magic = size < 4 ? '' : cursor.text(4)
  if (magic !== 'GGUF') throw refuse(name, 'it is no GGUF file', 'its first four bytes should be GGUF')
  const version = checkVersion(name, cursor.u32())
  const left = () => size - cursor.position
  const count = (what: string, smallest: number): number => {
    const n = cursor.u64()
    if (typeof n === 'bigint' || n * smallest > left()) {
      throw refuse(name, `it should hold ${n} ${what}, but has ${size} bytes`, damaged)
    }
    return n
  }
  const text = () => cursor.text(count('bytes of text', 1))

  function value(type: (typeof valueTypes)[number], key: string, depth: number): unknown {
    switch (type) {
      case 'uint8':
        return cursor.u8()
      case 'int8':
        return cursor.i8()
      case 'uint16':
        return cursor.u16()
      case 'int16':
        return cursor.i16()
      case 'uint32':
        return cursor.u32()
      case 'int32':
        return cursor.i32()
      case 'float32':
        return cursor.f32()
      case 'float64':
        return cursor.f64()
      case 'uint64':
        return cursor.u64()
      case 'int64':
        return cursor.i64()
      case 'bool':
        return cursor.u8() !== 0
      case 'string':
        return text()
      case 'array': {
        if (depth === deepestArray) throw refuse(name, `the arrays of ${key} are nested too deep`)
        const of = typeOf(key)
        if (of !== 'array') types.set(key, of)
        const length = count(`values of ${key}`, smallestSize[of])
        return Array.from({ length }, () => value(of, key, depth + 1))
      }
    }
  }
  function typeOf(key: string): (typeof valueTypes)[number] {
    const id = cursor.u32()
    if (id < valueTypes.length) return valueTypes[id]
    throw refuse(name, `${key} has the unknown value type ${id}`)
  }

  const types = new Map<string, GgufValueType>()
  const tensorCount = count('tensors', 24)
  const valueCount = count('metadata values', 13)
  const metadata: [string, unknown][] = []
  for (let i = 0; i < valueCount; i++) {
    const key = text()
    const type = typeOf(key)
    if (type !== 'array') types.set(key, type)
    metadata.push([key, value(type, key, 0)])
  }
  const values = Object.fromEntries(metadata)
  if (Object.keys(values).length !== metadata.length) throw refuse(name, 'a metadata key is there twice')
  const infos = new Map<string, RawInfo>()
  for (let i = 0; i < tensorCount; i++) {
    const tensor = text()
    if (infos.has(tensor)) throw refuse(name, `tensor ${tensor} is listed twice`)
    infos.set(tensor, rawInfo(name, tensor, cursor))
  }
  const alignment = alignmentOf(name, values)
  const dataStart = Math.ceil(cursor.position / alignment) * alignment
  return {
    version,
    metadata: values,
    types: Object.fromEntries(types),
    tensors: place(name, size, infos, dataStart, alignment),
  }
}

interface RawInfo {
  readonly type: GgufType
  readonly shape: readonly number[]
  readonly offset: number | bigint
}

function rawInfo(name: string, tensor: string, cursor: Cursor): RawInfo {
  const axes = cursor.u32()
  if (axes > 4) throw refuse(name, `tensor ${tensor} has ${axes} axes; at most 4 are possible`, damaged)
  const shape = Array.from({ length: axes }, () => {
    const n = cursor.u64()
    if (typeof n === 'bigint') throw refuse(name, `tensor ${tensor} has an axis of length ${n}`, damaged)
    return n
  }).reverse()
  const id = cursor.u32()
  const type = ggufTypes.get(id)
  if (!type) {
    throw new ReallmError('unsupported', `${name}: tensor ${tensor} has the unknown type ${id}`, {
      hint: `known: ${[...ggufTypes.values()].map(t => t.name).join(', ')}`,
    })
  }
  return { type, shape, offset: cursor.u64() }
}

function place(
  name: string,
  size: number,
  infos: ReadonlyMap<string, RawInfo>,
  dataStart: number,
  alignment: number,
): Map<string, GgufEntry> {
  const tensors = new Map<string, GgufEntry>()
  for (const [tensor, { type, shape, offset }] of infos) {
    const label = `tensor ${tensor} [${shape.join('×')}] of ${type.name}`
    const width = shape.at(-1) ?? 1
    if (width % type.block !== 0) {
      throw refuse(name, `${label}: its blocks of ${type.block} do not divide rows of ${width}`, damaged)
    }
    const bytes = shape.reduce((n, d) => n * d, 1) * (type.bytes / type.block)
    const start = dataStart + Number(offset)
    if (!(start + bytes <= size)) {
      throw refuse(name, `${label} should end at byte ${start + bytes}, but the file has ${size}`, damaged)
    }
    if (Number(offset) % alignment !== 0)
      throw refuse(name, `${label} does not start at a multiple of ${alignment}`)
    tensors.set(tensor, { dtype: type.name, type, shape, bytes, start })
  }
  let before: [string, GgufEntry] | undefined
  for (const entry of [...tensors].sort(([, a], [, b]) => a.start - b.start || a.bytes - b.bytes)) {
    if (before && before[1].start + before[1].bytes > entry[1].start) {
      throw refuse(name, `the tensors ${before[0]} and ${entry[0]} overlap`)
    }
    before = entry
  }
  return tensors
}

function checkVersion(name: string, version: number): number {
  if (version === 2 || version === 3) return version
  const bigEndian = version > 0xffff && version % 0x10000 === 0
  throw new ReallmError(
    'unsupported',
    bigEndian
      ? `${name}: a GGUF file for big-endian machines`
      : `${name}: GGUF version ${version}; versions 2 and 3 are known`,
    { hint: 'convert the model again with a current llama.cpp' },
  )
}

function alignmentOf(name: string, values: Readonly<Record<string, unknown>>): number {
  const alignment = values['general.alignment'] ?? 32
  if (typeof alignment === 'number' && alignment >= 1 && Number.isInteger(Math.log2(alignment)))
    return alignment
  throw refuse(name, `general.alignment is ${String(alignment)}, which is no power of two`)
}

const refuse = (file: string, what: string, hint = 'convert the model again') =>
  new ReallmError('bad-file', `${file}: ${what}`, { hint })
