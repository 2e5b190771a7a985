import { ggufTypes } from '../../codec/gguf-blocks/types.ts'
import { ReallmError } from '../../core/errors.ts'
import { sizeOf } from '../../core/tensor.ts'
import { type GgufScalar, type GgufValue, type GgufValueType, valueTypes } from './values.ts'

/** Types that values can be written as. */
export type GgufTensorType = 'F32' | 'F16' | 'BF16' | 'Q8_0'

/** Type (by GGUF's name) and shape (`[rows, cols]` as everywhere here) by tensor name, in the order of the file. */
export type PlannedGgufTensors = Readonly<
  Record<string, { readonly type: string; readonly shape: readonly number[] }>
>

/** What precedes the data of a GGUF file, and where each tensor's data goes. */
export interface GgufLayout {
  readonly header: Uint8Array
  readonly positions: ReadonlyMap<string, number>
  readonly bytes: number
}

const alignment = 32

/** Lays out a GGUF file of version 3; throws `bad-option` for a shape that a type cannot hold. */
export function layOutGguf(
  metadata: Readonly<Record<string, GgufValue>>,
  tensors: PlannedGgufTensors,
): GgufLayout {
  const out = new ByteWriter()
  out.bytes(new TextEncoder().encode('GGUF'))
  out.value('uint32', 3)
  out.value('uint64', Object.keys(tensors).length)
  out.value('uint64', Object.keys(metadata).length)
  for (const [key, { type, value }] of Object.entries(metadata)) {
    out.value('string', key)
    if (isList(value)) {
      out.value('uint32', valueTypes.indexOf('array'))
      out.value('uint32', valueTypes.indexOf(type))
      out.value('uint64', value.length)
      for (const element of value) out.value(type, element)
    } else {
      out.value('uint32', valueTypes.indexOf(type))
      out.value(type, value)
    }
  }
  const offsets = new Map<string, number>()
  let at = 0
  for (const [name, { type, shape }] of Object.entries(tensors)) {
    const [id, { block, bytes }] = [...ggufTypes].find(([, t]) => t.name === type)!
    if (shape.length > 4 || (shape.at(-1) ?? 1) % block !== 0) {
      throw new ReallmError('bad-option', `${name} [${shape.join('×')}] cannot be written as ${type}`, {
        hint: `${type} takes rows of a multiple of ${block} weights and at most 4 axes; use F16 for this tensor`,
      })
    }
    out.value('string', name)
    out.value('uint32', shape.length)
    for (const length of [...shape].reverse()) out.value('uint64', length)
    out.value('uint32', id)
    out.value('uint64', at)
    offsets.set(name, at)
    at += aligned((sizeOf(shape) / block) * bytes)
  }
  const header = out.finish(alignment)
  const positions = new Map([...offsets].map(([name, offset]) => [name, header.length + offset]))
  return { header, positions, bytes: header.length + at }
}

/** Bytes that so many take in the file. */
export const aligned = (n: number): number => Math.ceil(n / alignment) * alignment

const isList = (value: GgufValue['value']): value is readonly GgufScalar[] => Array.isArray(value)

/** Appends little-endian values to a buffer that grows. */
class ByteWriter {
  private buffer = new Uint8Array(1 << 16)
  private length = 0

  bytes(bytes: Uint8Array): void {
    this.room(bytes.length)
    this.buffer.set(bytes, this.length - bytes.length)
  }

  value(type: GgufValueType, value: GgufScalar): void {
    if (type === 'string') {
      const text = new TextEncoder().encode(String(value))
      this.value('uint64', text.length)
      this.bytes(text)
    } else {
      const { size, set } = setters[type]
      set(this.room(size), value)
    }
  }

  finish(alignment: number): Uint8Array {
    this.room(-this.length & (alignment - 1))
    return this.buffer.subarray(0, this.length)
  }

  private room(size: number): DataView {
    if (this.length + size > this.buffer.length) {
      const larger = new Uint8Array(2 * (this.length + size))
      larger.set(this.buffer)
      this.buffer = larger
    }
    this.length += size
    return new DataView(this.buffer.buffer, this.length - size, size)
  }
}

type Setter = { readonly size: number; readonly set: (view: DataView, value: GgufScalar) => void }

const setters: Readonly<Record<Exclude<GgufValueType, 'string'>, Setter>> = {
  uint8: { size: 1, set: (view, value) => view.setUint8(0, Number(value)) },
  int8: { size: 1, set: (view, value) => view.setInt8(0, Number(value)) },
  uint16: { size: 2, set: (view, value) => view.setUint16(0, Number(value), true) },
  int16: { size: 2, set: (view, value) => view.setInt16(0, Number(value), true) },
  uint32: { size: 4, set: (view, value) => view.setUint32(0, Number(value), true) },
  int32: { size: 4, set: (view, value) => view.setInt32(0, Number(value), true) },
  float32: { size: 4, set: (view, value) => view.setFloat32(0, Number(value), true) },
  bool: { size: 1, set: (view, value) => view.setUint8(0, value ? 1 : 0) },
  uint64: { size: 8, set: (view, value) => view.setBigUint64(0, BigInt(value), true) },
  int64: { size: 8, set: (view, value) => view.setBigInt64(0, BigInt(value), true) },
  float64: { size: 8, set: (view, value) => view.setFloat64(0, Number(value), true) },
}
