import { type DType, storageOf } from '../../core/dtype.ts'
import { ReallmError } from '../../core/errors.ts'
import { toFloat32 } from '../../core/float.ts'
import { type Tensor, tensor } from '../../core/tensor.ts'
import type { ModelFiles, OpenOptions } from '../model-files.ts'
import type { ByteSource } from '../source/source.ts'
import { findTensor, type Rows, rowShape } from '../store.ts'
import { type GgufHeader, readHeader } from './header.ts'

/** An open GGUF file. Tensors keep their GGUF names; metadata values that exceed 2⁵³ are bigints. */
export interface GgufFile extends ModelFiles {
  readonly kind: 'gguf'
  readonly version: number
  /** Types of the metadata values; those of the elements for arrays. */
  readonly types: GgufHeader['types']
  readonly tensors: GgufHeader['tensors']
  /** One tensor, or rows `from` to `to` (exclusive) of its first axis; blocks come decoded to F32. */
  read(name: string, rows?: Rows): Promise<Tensor>
  readBlocks(name: string, rows?: Rows): Promise<Uint8Array<ArrayBuffer>>
}

export type GgufOptions = Pick<OpenOptions, 'signal'> & { readonly spec?: string }

/**
 * Opens a GGUF file (version 2 or 3): reads and checks its header; tensors are read when asked for.
 * `close` closes the source; so does a header that is refused.
 *
 * @example
 * const file = await openGguf(await openFileSource('model.gguf'))
 * const firstTen = await file.readFloat32('token_embd.weight', [0, 10])
 */
export async function openGguf(source: ByteSource, options: GgufOptions = {}): Promise<GgufFile> {
  const file = await openGgufPart(source, options)
  const parts = file.metadata['split.count']
  if (typeof parts !== 'number' || parts < 2) return file
  await file.close()
  throw new ReallmError('unsupported', `${source.name}: it is one of ${parts} parts of a split model`, {
    hint: `name it as llama.cpp does, …-00001-of-${String(parts).padStart(5, '0')}.gguf, beside the others`,
  })
}

/** Opens a GGUF file that may be a part of a split one. */
export async function openGgufPart(source: ByteSource, options: GgufOptions = {}): Promise<GgufFile> {
  const header = await readHeader(source, options).catch(async (error: unknown) => {
    await source.close()
    throw error
  })

  async function readBlocks(name: string, rows?: Rows): Promise<Uint8Array<ArrayBuffer>> {
    const entry = findTensor(header.tensors, name, source.name)
    if (rows) rowShape(name, entry, rows)
    const rowBytes = entry.shape[0] > 0 ? entry.bytes / entry.shape[0] : 0
    const [from, to] = rows ? [rows[0] * rowBytes, rows[1] * rowBytes] : [0, entry.bytes]
    return source.read(entry.start + from, entry.start + to, options)
  }

  async function read(name: string, rows?: Rows): Promise<Tensor> {
    const entry = findTensor(header.tensors, name, source.name)
    const shape = rows ? rowShape(name, entry, rows) : entry.shape
    const bytes = await readBlocks(name, rows)
    if (entry.type.block > 1) {
      const { decodeBlocks } = await import('../../codec/gguf-blocks/decode.ts')
      return tensor('F32', shape, decodeBlocks(entry.type, bytes))
    }
    const dtype = entry.type.name as DType
    return tensor<DType>(dtype, shape, storageOf(dtype, bytes.buffer))
  }

  return {
    ...header,
    spec: options.spec ?? source.name,
    kind: 'gguf',
    bytes: source.size,
    config: {},
    files: [],
    read,
    readBlocks,
    async readFloat32(name, rows) {
      const stored = await read(name, rows)
      return tensor('F32', stored.shape, toFloat32(stored))
    },
    async readFile(name) {
      throw new ReallmError('not-found', `${source.name}: a GGUF file has no ${name} beside it`, {
        hint: 'configuration and tokenizer are in its metadata',
      })
    },
    close: () => source.close(),
  }
}
