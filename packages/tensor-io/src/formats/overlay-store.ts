import { errorAt } from '../core/errors.ts'
import { toFloat32 } from '../core/float.ts'
import { tensor } from '../core/tensor.ts'
import { findTensor, type Rows, rowShape, type TensorInfo, type TensorStore } from './store.ts'

/** Reads rows `from` to `to` (exclusive) of a tensor's first axis. */
export type ReadRows = (
  from: number,
  to: number,
) => Float32Array<ArrayBuffer> | Promise<Float32Array<ArrayBuffer>>

/** A tensor that is computed from stored ones, its parts. */
export interface ComputedTensor extends TensorInfo {
  /** Names of the parts, which are no tensors of the model by themselves. */
  readonly parts: Iterable<string>
  /** What errors call it. */
  readonly label: string
  read(): Promise<Float32Array<ArrayBuffer>>
  readRows(): Promise<ReadRows>
}

/**
 * A store with computed tensors instead of their parts. What reads rows of the last one is kept, so that reading on does
 * not compute it anew.
 */
export function overlayStore(
  where: string,
  store: TensorStore,
  computed: ReadonlyMap<string, ComputedTensor>,
): TensorStore {
  const tensors = new Map<string, TensorInfo>(store.tensors)
  for (const { parts } of computed.values()) for (const part of parts) tensors.delete(part)
  for (const [name, { dtype, shape, bytes }] of computed) tensors.set(name, { dtype, shape, bytes })
  let kept: { readonly name: string; readonly readRows: ReadRows } | undefined

  async function read(name: string, rows?: Rows) {
    const made = computed.get(name)
    if (!made) {
      findTensor(tensors, name, where)
      return rows ? store.readFloat32(name, rows) : store.read(name)
    }
    const shape = rows ? rowShape(name, made, rows) : made.shape
    try {
      if (!rows) return tensor('F32', shape, await made.read())
      if (kept?.name !== name) kept = { name, readRows: await made.readRows() }
      return tensor('F32', shape, await kept.readRows(...rows))
    } catch (cause) {
      throw errorAt(`${where}: ${made.label}`, cause)
    }
  }

  return {
    tensors,
    read,
    async readFloat32(name, rows) {
      const stored = await read(name, rows)
      return tensor('F32', stored.shape, toFloat32(stored))
    },
    async close() {
      kept = undefined
      await store.close()
    },
  }
}
