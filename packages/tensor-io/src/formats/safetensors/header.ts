import { byteLength, type DType, dtypes } from '../../core/dtype.ts'
import { ReallmError } from '../../core/errors.ts'
import type { ByteSource, ReadOptions } from '../source/source.ts'
import type { TensorInfo } from '../store.ts'
import { repeatedKey } from './repeated-key.ts'

/** Where a tensor lies in a safetensors file; offsets count from the file's first byte. */
export interface SafetensorsEntry extends TensorInfo {
  readonly dtype: DType
  readonly start: number
  readonly end: number
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>
  readonly metadata: Readonly<Record<string, string>>
}

const damaged = 'the file is damaged or truncated: copy or download it again'

/**
 * Reads and checks a safetensors header: its length, JSON, names, dtypes, shapes and offsets, all against the
 * size of the file and before anything of that size is allocated. Tensors come in the order of their offsets.
 *
 * Throws `bad-file` naming file, tensor and fix.
 */
export async function readHeader(source: ByteSource, options?: ReadOptions): Promise<SafetensorsHeader> {
  const { name, size } = source
  if (size < 8) throw refuse(name, `it has ${size} bytes, a safetensors file has at least 8`, damaged)
  const lengthBytes = await source.read(0, 8, options)
  const length = new DataView(lengthBytes.buffer).getBigUint64(0, true)
  if (length > BigInt(size - 8)) {
    throw refuse(name, `its header should take ${length} bytes, but the file has ${size}`, damaged)
  }
  const dataStart = 8 + Number(length)
  const { __metadata__, ...entries } = parse(name, await source.read(8, dataStart, options))
  const metadata = __metadata__ ?? {}
  if (!isRecord(metadata) || Object.values(metadata).some(v => typeof v !== 'string')) {
    throw refuse(name, '__metadata__ must map names to strings')
  }
  const tensors = Object.entries(entries).map(
    ([tensor, entry]) => [tensor, toEntry(name, tensor, entry, dataStart, size)] as const,
  )
  tensors.sort(([, a], [, b]) => a.start - b.start || a.end - b.end)
  let at = dataStart
  for (const [tensor, { start, end }] of tensors) {
    if (start < at) throw refuse(name, `tensor ${tensor} overlaps the one before it (at byte ${start})`)
    if (start > at) throw refuse(name, `${start - at} bytes before tensor ${tensor} belong to no tensor`)
    at = end
  }
  if (at !== size) throw refuse(name, `${size - at} bytes after the last tensor belong to no tensor`)
  return { tensors: new Map(tensors), metadata: metadata as Record<string, string> }
}

function parse(name: string, bytes: Uint8Array): Record<string, unknown> {
  let text: string
  let header: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    header = JSON.parse(text)
  } catch (cause) {
    throw refuse(name, `its header is not JSON (${(cause as Error).message})`, 'is it a safetensors file?')
  }
  if (!isRecord(header)) throw refuse(name, 'its header is not a JSON object', 'is it a safetensors file?')
  const twice = repeatedKey(text)
  if (twice !== undefined) throw refuse(name, `tensor ${twice} is listed twice`)
  return header
}

function toEntry(
  name: string,
  tensor: string,
  entry: unknown,
  dataStart: number,
  size: number,
): SafetensorsEntry {
  if (!isRecord(entry)) throw refuse(name, `tensor ${tensor} has no dtype, shape and data_offsets`)
  const { dtype, shape, data_offsets: offsets } = entry
  if (!isDType(dtype)) {
    throw new ReallmError('unsupported', `${name}: tensor ${tensor} has the unknown dtype ${String(dtype)}`, {
      hint: `known: ${Object.keys(dtypes).join(', ')}`,
    })
  }
  if (!areSizes(shape)) throw refuse(name, `tensor ${tensor} has no valid shape`)
  if (!areSizes(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    throw refuse(name, `tensor ${tensor} has no valid data_offsets`)
  }
  const [start, end] = offsets.map(offset => dataStart + offset)
  if (end > size) {
    const what = `tensor ${tensor} [${shape.join('×')}] should end at byte ${end}, but the file has ${size}`
    throw refuse(name, what, damaged)
  }
  const bytes = byteLength(
    dtype,
    shape.reduce((n, d) => n * d, 1),
  )
  if (bytes !== end - start) {
    const what = `tensor ${tensor} [${shape.join('×')}] of ${dtype} takes ${bytes} bytes, not ${end - start}`
    throw refuse(name, what)
  }
  return { dtype, shape, bytes, start, end }
}

const refuse = (file: string, what: string, hint = 'write the file again with a correct header') =>
  new ReallmError('bad-file', `${file}: ${what}`, { hint })

const isRecord = (x: unknown): x is Record<string, unknown> =>
  typeof x === 'object' && x !== null && !Array.isArray(x)

const isDType = (x: unknown): x is DType => typeof x === 'string' && Object.hasOwn(dtypes, x)

const areSizes = (x: unknown): x is number[] =>
  Array.isArray(x) && x.every(n => Number.isSafeInteger(n) && n >= 0)
