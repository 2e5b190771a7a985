import { ReallmError } from './errors.ts'
import type { TensorInfo } from './model.ts'
import { nearest } from './nearest.ts'

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
