import { type DType, storageOf } from '../../core/dtype.ts'
import { toFloat32 } from '../../core/float.ts'
import { type Tensor, tensor } from '../../core/tensor.ts'
import type { ByteSource, ReadOptions } from '../source/source.ts'
import type { TensorStore } from '../store.ts'
import { findTensor, type Rows, rowShape } from '../store.ts'
import { readHeader, type SafetensorsEntry } from './header.ts'

/** An open safetensors file. */
export interface SafetensorsFile extends TensorStore {
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>
  readonly metadata: Readonly<Record<string, string>>
  readonly source: ByteSource
  /** One tensor, or rows `from` to `to` (exclusive) of its first axis, in its stored dtype. */
  read(name: string, rows?: Rows, options?: ReadOptions): Promise<Tensor>
}

/**
 * Opens a safetensors file: reads and checks its header; tensors are read when asked for.
 * `close` closes the source; so does a header that is refused.
 *
 * @example
 * const file = await openSafetensors(await openFileSource('model.safetensors'))
 * const firstTen = await file.read('model.embed_tokens.weight', [0, 10])
 */
export async function openSafetensors(source: ByteSource, options?: ReadOptions): Promise<SafetensorsFile> {
  const { tensors, metadata } = await readHeader(source, options).catch(async (error: unknown) => {
    await source.close()
    throw error
  })

  async function read(name: string, rows?: Rows, options?: ReadOptions): Promise<Tensor> {
    const entry = findTensor(tensors, name, source.name)
    const { dtype } = entry
    const shape = rows ? rowShape(name, entry, rows) : entry.shape
    const rowBytes = entry.shape[0] > 0 ? entry.bytes / entry.shape[0] : 0
    const [start, end] = rows ? rows.map(row => entry.start + row * rowBytes) : [entry.start, entry.end]
    const bytes = await source.read(start, end, options)
    return tensor<DType>(dtype, shape, storageOf(dtype, bytes.buffer))
  }

  return {
    tensors,
    metadata,
    source,
    read,
    async readFloat32(name, rows) {
      const stored = await read(name, rows)
      return tensor('F32', stored.shape, toFloat32(stored))
    },
    close: () => source.close(),
  }
}
