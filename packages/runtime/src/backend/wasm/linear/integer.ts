import type { Pointer } from '@reallm/kernels/inference'
import { type Activations, type Engine, integerStride, paddedRows } from '../engine.ts'
import type { Linear, LinearWriter } from './linear.ts'
import type { StoredRows } from './stored-rows.ts'

/** Columns that share a scale. More would overflow the kernel's sums of two-byte weights. */
const GROUP = 64

/** Columns whose sums of bytes fit 32 bits. */
const LARGEST_GROUP = 2048
/** Floats decoded at a time. */
const STAGED = 1 << 18

interface Integers {
  readonly linear: Linear
  readonly codes: Pointer
  readonly scales: Pointer
  readonly stride: number
  readonly group: number
}

/**
 * Integer weights, a float scale per row and 64 columns, activations of 16 bits: two `bytes` hold ±4095, which keeps
 * logits within 1 %; one byte holds ±127 and takes half the memory.
 */
export function integerWriter(engine: Engine, rows: number, cols: number, bytes: 1 | 2): LinearWriter {
  const { linear, codes, scales, stride, group } = integers(engine, rows, cols, bytes, GROUP)
  let next = 0
  return {
    write(from, count) {
      engine.kernels.quantiseWeights(from, codes, scales, count, cols, stride, group, next, bytes)
      next += count
    },
    finish: () => linear,
  }
}

/**
 * One-byte weights without loss: `fill` writes whole numbers of at most ±127 to blocked weights of `stride` columns,
 * `scaleAt(r, c)` tells what they are multiples of, the same for all columns between multiples of `unit` (one of 16).
 */
export function exactBytes(
  engine: Engine,
  [rows, cols]: readonly [number, number],
  fill: (codes: Pointer, stride: number) => void,
  scaleAt: (r: number, c: number) => number,
  unit: number,
): Linear {
  const { linear, codes, scales, stride, group } = integers(engine, rows, cols, 1, groupOf(unit))
  fill(codes, stride)
  const groups = Math.ceil(stride / group)
  const table = engine.arena.floats(scales, rows * groups)
  for (let i = 0; i < table.length; i++) table[i] = scaleAt(Math.floor(i / groups), (i % groups) * group)
  return linear
}

/** Fills blocked weights with the whole numbers that `rowsOf` gives, a few rows at a time. */
export const fillFromRows =
  ({ arena, kernels }: Engine, [rows, cols]: readonly [number, number], rowsOf: StoredRows) =>
  (codes: Pointer, stride: number): void => {
    const step = Math.max(1, Math.floor(STAGED / cols))
    const values = new Float32Array(step * cols)
    const staging = arena.allocate(step * cols)
    for (let from = 0; from < rows; from += step) {
      const to = Math.min(rows, from + step)
      rowsOf(from, to, values)
      arena.bytes(staging, values.length).set(new Uint8Array(Int8Array.from(values).buffer))
      kernels.packBytes(staging, codes, to - from, cols, stride, from)
    }
    arena.free(staging)
  }

/** The largest group that the kernel sums and that no change of scale falls into. */
export function groupOf(unit: number): number {
  for (let parts = Math.ceil(unit / LARGEST_GROUP); ; parts++) {
    if (unit % (16 * parts) === 0) return unit / parts
  }
}

function integers(engine: Engine, rows: number, cols: number, bytes: 1 | 2, largestGroup: number): Integers {
  const { kernels, arena } = engine
  const stride = integerStride(cols)
  const group = Math.min(largestGroup, stride)
  const groups = Math.ceil(stride / group)
  const codes = arena.allocate(bytes * paddedRows(rows) * stride)
  const scales = engine.allocateFloats(paddedRows(rows) * groups)
  const linear: Linear = {
    rows,
    cols,
    bytes: paddedRows(rows) * (bytes * stride + 4 * groups),
    multiplyAdds: rows * cols,
    apply(x: Activations, y: Pointer, ldy: number, tokens: number, accumulate: boolean) {
      const { values, scales: xScales } = x.quantised(tokens)
      const add = accumulate ? 1 : 0
      kernels.matmulInteger(codes, scales, values, xScales, y, rows, stride, group, tokens, ldy, add, bytes)
    },
    row: (index, out, factor) =>
      kernels.integerRow(codes, scales, index, out, cols, stride, group, factor, bytes),
    dispose() {
      arena.free(codes)
      arena.free(scales)
    },
  }
  return { linear, codes, scales, stride, group }
}
