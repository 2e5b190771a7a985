import { ReallmError } from '../core/errors.ts'
import { nearest } from '../core/nearest.ts'
import type { Tensor } from '../core/tensor.ts'

/** What a file says about one tensor before it is read. `dtype` may be a GGUF block type such as `Q4_K`. */
export interface TensorInfo {
  readonly dtype: string
  readonly shape: readonly number[]
  /** Bytes in the file. */
  readonly bytes: number
}

/** Named tensors in one or more files; only what is asked for is read. */
export interface TensorStore {
  readonly tensors: ReadonlyMap<string, TensorInfo>
  /** Reads one tensor, GGUF blocks decoded to F32; throws `not-found` naming the nearest known name. */
  read(name: string): Promise<Tensor>
  /** The same in float32, or only rows `from` to `to` (exclusive) of its first axis. */
  readFloat32(name: string, rows?: Rows): Promise<Tensor<'F32'>>
  close(): Promise<void>
}

export type Rows = readonly [from: number, to: number]

/** What is known about a tensor; throws `not-found` naming the nearest known name. */
export function findTensor<T>(tensors: ReadonlyMap<string, T>, name: string, where: string): T {
  const found = tensors.get(name)
  if (found !== undefined) return found
  const near = nearest(name, tensors.keys())
  throw new ReallmError('not-found', `${where}: there is no tensor ${name}`, {
    hint: near === undefined ? 'it has no tensors at all' : `the nearest name is ${near}`,
  })
}

/** Shape of rows `from` to `to` of a tensor; throws `bad-option` when it has no such rows. */
export function rowShape(name: string, { shape }: Pick<TensorInfo, 'shape'>, [from, to]: Rows): number[] {
  const rows = shape[0] ?? 0
  if (!(Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= rows)) {
    throw new ReallmError('bad-option', `${name} [${shape.join('×')}]: there are no rows ${from} to ${to}`, {
      hint: `its rows are 0 to ${rows}`,
    })
  }
  return [to - from, ...shape.slice(1)]
}
