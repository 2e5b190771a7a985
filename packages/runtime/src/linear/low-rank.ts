import { f16ToF32, type Tensor, unpackBits } from '@reallm/tensor-io'
import { Activations, BATCH, type Engine } from '../engine.ts'
import { floatWriter } from './float.ts'
import type { Linear } from './linear.ts'

/** `L₁ L₂`: `left` is L₁ `[rows, rank]`, `right` L₂ `[rank, cols]`. */
export interface Factors {
  readonly rank: number
  readonly left: Float32Array
  readonly right: Float32Array
}

/** Bits of both factors, or of each. */
interface FactorParams {
  readonly rank: number
  readonly bits: number
  readonly leftBits?: number
  readonly rightBits?: number
}

/** `y (+)= inner x + factor · L₁ (L₂ x)`; without `inner`, the low-rank part alone. */
export function lowRankLinear(
  engine: Engine,
  inner: Linear | undefined,
  shape: readonly [rows: number, cols: number],
  factors: Factors,
  factor = 1,
): Linear {
  const [rows, cols] = shape
  const rank = 4 * Math.ceil(factors.rank / 4)
  const right = floatLinear(engine, padRows(factors.right, cols, rank), rank, cols)
  const left = floatLinear(engine, padColumns(factors.left, factors.rank, rank), rows, rank, factor)
  const between = new Activations(engine, rank)

  return {
    rows,
    cols,
    multiplyAdds: (inner?.multiplyAdds ?? 0) + right.multiplyAdds + left.multiplyAdds,
    bytes: (inner?.bytes ?? 0) + right.bytes + left.bytes + 4 * BATCH * rank,
    apply(x, y, ldy, tokens, accumulate) {
      inner?.apply(x, y, ldy, tokens, accumulate)
      right.apply(x, between.at, rank, tokens, false)
      left.apply(between.changed(), y, ldy, tokens, accumulate || inner !== undefined)
    },
    row(index, out, scale) {
      const sum = engine.scratch('low-rank row', cols)
      if (inner) inner.row(index, out, scale)
      else engine.arena.floats(out, cols).fill(0)
      const weights = factors.left.subarray(index * factors.rank, (index + 1) * factors.rank)
      for (const [r, weight] of weights.entries()) {
        right.row(r, sum.at, weight * factor * scale)
        engine.kernels.addInPlace(out, sum.at, cols)
      }
    },
    free() {
      inner?.free()
      right.free()
      left.free()
      engine.arena.free(between.at)
    },
  }
}

/** Factors as `lowrank`, `rom`, `lplr` and `plusLowRank` store them: half floats, or codes times a scale per line. */
export function storedFactors(
  parts: Readonly<Record<string, Tensor>>,
  [rows, cols]: readonly [number, number],
  { rank, bits, leftBits = bits, rightBits = bits }: FactorParams,
): Factors {
  return {
    rank,
    left: storedFactor(parts, 'lowrank_b', rows * rank, leftBits, i => i % rank),
    right: storedFactor(parts, 'lowrank_a', rank * cols, rightBits, i => Math.floor(i / cols)),
  }
}

/** One stored factor: half floats, or codes times the scale of their line. */
export function storedFactor(
  parts: Readonly<Record<string, Tensor>>,
  name: string,
  count: number,
  bits: number,
  lineOf: (i: number) => number,
): Float32Array {
  const { data } = parts[name]
  if (bits === 16) return f16ToF32(data as Uint16Array)
  const scales = f16ToF32(parts[`${name}_scale`].data as Uint16Array)
  const top = 2 ** bits - 1
  const codes = unpackBits(data as Uint8Array, bits, count)
  return Float32Array.from(codes, (code, i) => scales[lineOf(i)] * (2 * code - top))
}

function floatLinear(engine: Engine, data: Float32Array, rows: number, cols: number, factor = 1): Linear {
  const writer = floatWriter(engine, rows, cols, factor)
  const staging = engine.upload(data)
  writer.write(staging, rows)
  engine.arena.free(staging)
  return writer.finish()
}

function padRows(data: Float32Array, cols: number, rows: number): Float32Array {
  const padded = new Float32Array(rows * cols)
  padded.set(data)
  return padded
}

function padColumns(data: Float32Array, cols: number, padded: number): Float32Array {
  const rows = data.length / cols
  const out = new Float32Array(rows * padded)
  for (let r = 0; r < rows; r++) out.set(data.subarray(r * cols, (r + 1) * cols), r * padded)
  return out
}
