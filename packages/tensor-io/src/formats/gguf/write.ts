import { ggufTypes } from '../../codec/gguf-blocks/types.ts'
import { ReallmError } from '../../core/errors.ts'
import { f32ToBf16, f32ToF16 } from '../../core/float.ts'
import { sizeOf } from '../../core/tensor.ts'
import { createAtomicFile } from '../source/atomic-file.ts'
import { findTensor } from '../store.ts'
import { aligned, layOutGguf, type PlannedGgufTensors } from './encode-header.ts'
import { encodeQ8_0 } from './encode-q8.ts'
import type { GgufValue } from './values.ts'

/** Writes a GGUF file tensor by tensor. */
export interface GgufWriter {
  readonly path: string
  /** Size of the finished file, in bytes. */
  readonly bytes: number
  /** Writes the values of one planned tensor in its planned type; the order is free. */
  write(name: string, values: Float32Array): Promise<void>
  /** Writes one planned tensor of any type as its bytes, which are not looked at. */
  writeBlocks(name: string, bytes: Uint8Array): Promise<void>
  /** Flushes and renames the file into place; throws `bad-tensor` when a planned tensor is missing. */
  finish(): Promise<void>
  /** Deletes what was written. */
  abort(): Promise<void>
}

/**
 * Writes a GGUF file (version 3) tensor by tensor. Names and metadata are written as given; what llama.cpp expects
 * of them is the caller's business. The file has a temporary name until `finish`.
 *
 * @example
 * const writer = await createGgufWriter(
 *   'out.gguf',
 *   { 'general.architecture': { type: 'string', value: 'llama' } },
 *   { 'token_embd.weight': { type: 'Q8_0', shape: [1000, 64] } },
 * )
 * await writer.write('token_embd.weight', new Float32Array(64_000))
 * await writer.finish()
 */
export async function createGgufWriter(
  path: string,
  metadata: Readonly<Record<string, GgufValue>>,
  tensors: PlannedGgufTensors,
): Promise<GgufWriter> {
  const { header, positions, bytes } = layOutGguf(metadata, tensors)
  const missing = new Set(positions.keys())
  const file = await createAtomicFile(path)
  await file.write(header, 0)

  async function put(name: string, data: Uint8Array): Promise<void> {
    const padded = new Uint8Array(aligned(data.length))
    padded.set(data)
    await file.write(padded, findTensor(positions, name, `${path} as planned`))
    missing.delete(name)
  }

  return {
    path,
    bytes,
    async write(name, values) {
      findTensor(positions, name, `${path} as planned`)
      const { type, shape } = tensors[name]
      if (values.length !== sizeOf(shape)) {
        const what = `${name} [${shape.join('×')}] has ${sizeOf(shape)} values, got ${values.length}`
        throw new ReallmError('bad-tensor', what)
      }
      await put(name, encode(type, values))
    },
    async writeBlocks(name, data) {
      findTensor(positions, name, `${path} as planned`)
      const { type, shape } = tensors[name]
      const { block, bytes } = [...ggufTypes.values()].find(t => t.name === type)!
      const wanted = (sizeOf(shape) / block) * bytes
      if (data.length !== wanted) {
        const what = `${name} [${shape.join('×')}] takes ${wanted} bytes as ${type}, got ${data.length}`
        throw new ReallmError('bad-tensor', what)
      }
      await put(name, data)
    },
    async finish() {
      if (missing.size > 0) {
        await file.abort()
        const [first] = missing
        const what = `${missing.size} planned tensors were not written (${first}, …)`
        throw new ReallmError('bad-tensor', `${path}: ${what}`)
      }
      await file.commit()
    },
    abort: file.abort,
  }
}

function encode(type: string, values: Float32Array): Uint8Array {
  if (type === 'Q8_0') return encodeQ8_0(values)
  const encoders = { F32: (v: Float32Array) => v, F16: f32ToF16, BF16: f32ToBf16 }
  if (!Object.hasOwn(encoders, type)) {
    throw new ReallmError('unsupported', `values cannot be written as ${type}`, {
      hint: `encode them with the codec gguf, and use writeBlocks`,
    })
  }
  const data = encoders[type as keyof typeof encoders](values)
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}
