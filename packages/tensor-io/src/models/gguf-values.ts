import { sizeOf } from '../core/tensor.ts'
import type { InStack } from './stacks.ts'

/** How llama.cpp stores a tensor of a model. */
export interface StoredInGguf {
  readonly name: string
  /** The rows of so many heads lie pairwise interleaved; 0 for Hugging Face's order. */
  readonly interleavedHeads: number
  /** Added to every value: norms whose weights multiply as `1 + w` hold `1 + w`. */
  readonly added: 0 | 1
  /** It is an expert's part of a stack. */
  readonly inStack?: InStack
  /** Its shape there, where that is not the model's. */
  readonly shape?: readonly number[]
  /** It holds `−exp(w)`. */
  readonly negatedExponential?: boolean
  readonly tiled?: TiledHeads
  /** Its rows lie in several tensors, one after the other; `name` is that of the first. */
  readonly apart?: readonly { readonly name: string; readonly rows: number }[]
}

/**
 * Heads of `width` rows (or columns) that share others in groups: llama.cpp puts the first heads of all groups before the
 * second ones, and so on.
 */
export interface TiledHeads {
  readonly axis: 'rows' | 'columns'
  /** The first of them; what lies before stays. */
  readonly from: number
  readonly groups: number
  /** Heads of a group. */
  readonly shared: number
  readonly width: number
}

/** A tensor's values as GGUF has them (`to`), or Hugging Face (`from`); `rows` is its first axis. */
export function ggufValues(
  { interleavedHeads, added, negatedExponential, tiled }: StoredInGguf,
  values: Float32Array<ArrayBuffer>,
  rows: number,
  direction: 'to' | 'from',
): Float32Array<ArrayBuffer> {
  const undo = direction === 'from'
  const ordered = tiled ? tileHeads(values, rows, tiled, undo) : values
  if (interleavedHeads > 0) return permuteHeads(ordered, rows, interleavedHeads, undo)
  if (negatedExponential) return ordered.map(w => (undo ? Math.log(-w) : -Math.exp(w)))
  return added === 0 ? ordered : ordered.map(w => (undo ? w - added : w + added))
}

/** Whether rows of a tensor of `shape` can be read by themselves. */
export const keepsRows = (
  { interleavedHeads, tiled, apart, shape: stored }: StoredInGguf,
  shape: readonly number[],
): boolean =>
  interleavedHeads === 0 &&
  tiled?.axis !== 'rows' &&
  apart === undefined &&
  (stored === undefined || stored[0] === shape[0])

/** The stored tensors of one of the model's, which has `shape`, with theirs; a stack is stored as a whole. */
export const storedParts = (
  { name, apart, inStack, shape: stored = inStack?.shape }: StoredInGguf,
  shape: readonly number[],
): { readonly name: string; readonly shape: readonly number[] }[] =>
  apart?.map(({ name, rows }) => ({ name, shape: [rows, ...shape.slice(1)] })) ?? [
    { name, shape: stored ?? shape },
  ]

/** What to write of a tensor of `shape`. */
export function partsToWrite(
  stored: StoredInGguf,
  values: Float32Array<ArrayBuffer>,
  shape: readonly number[],
): { readonly name: string; readonly values: Float32Array<ArrayBuffer> }[] {
  const all = ggufValues(stored, values, shape[0], 'to')
  let at = 0
  return storedParts(stored, shape).map(({ name, shape }) => {
    const from = at
    at += sizeOf(shape)
    return { name, values: all.subarray(from, at) }
  })
}

/**
 * Reorders the rows of llama.cpp's q and k, where the two halves of a head lie interleaved, into Hugging Face's
 * order (`undo`), or the other way round. `data` is `[rows, …]` with rows = heads × head width.
 */
export function permuteHeads<T extends Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>>(
  data: T,
  rows: number,
  heads: number,
  undo: boolean,
): T {
  const width = data.length / rows
  const headRows = rows / heads
  const half = headRows / 2
  const out = data.slice() as T
  for (let head = 0; head < heads; head++) {
    for (let j = 0; j < half; j++) {
      for (let side = 0; side < 2; side++) {
        const plain = (head * headRows + side * half + j) * width
        const interleaved = (head * headRows + 2 * j + side) * width
        const [from, to] = undo ? [interleaved, plain] : [plain, interleaved]
        out.set(data.subarray(from, from + width), to)
      }
    }
  }
  return out
}

/** Puts heads of several groups into llama.cpp's order, or, `undo`, back; `data` is `[rows, …]`. */
function tileHeads(
  data: Float32Array,
  rows: number,
  { axis, from, groups, shared, width }: TiledHeads,
  undo: boolean,
): Float32Array<ArrayBuffer> {
  const out = Float32Array.from(data)
  const inRows = axis === 'rows'
  const rowLength = data.length / rows
  // A head is so many floats in a row, once for all rows or once in each of them.
  const floats = inRows ? width * rowLength : width
  const start = inRows ? from * rowLength : from
  for (let line = 0; line < (inRows ? 1 : rows); line++) {
    const first = line * rowLength + start
    for (let group = 0; group < groups; group++) {
      for (let head = 0; head < shared; head++) {
        const plain = first + (group * shared + head) * floats
        const tiled = first + (head * groups + group) * floats
        const [source, to] = undo ? [tiled, plain] : [plain, tiled]
        out.set(data.subarray(source, source + floats), to)
      }
    }
  }
  return out
}
