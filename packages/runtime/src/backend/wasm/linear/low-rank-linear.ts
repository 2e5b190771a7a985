import type { Matrix } from '@reallm/tensor-io'
import type { LowRank } from '@reallm/tensor-io/layouts/factors'
import { Activations, BATCH, type Engine } from '../engine.ts'
import { floatWriter } from './float.ts'
import type { Linear } from './linear.ts'

/** `y (+)= inner x + factor · L₁ (L₂ x)`; without `inner`, the low-rank part alone. */
export function lowRankLinear(
  engine: Engine,
  inner: Linear | undefined,
  shape: readonly [rows: number, cols: number],
  { left: l1, right: l2 }: LowRank,
  factor = 1,
): Linear {
  const [rows, cols] = shape
  const rank = 4 * Math.ceil(l2.rows / 4)
  const right = floatLinear(engine, padRows(l2.data, cols, rank), rank, cols)
  const left = floatLinear(engine, padColumns(l1, rank), rows, rank, factor)
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
      const weights = l1.data.subarray(index * l1.cols, (index + 1) * l1.cols)
      for (const [r, weight] of weights.entries()) {
        right.row(r, sum.at, weight * factor * scale)
        engine.kernels.addInPlace(out, sum.at, cols)
      }
    },
    dispose() {
      inner?.dispose()
      right.dispose()
      left.dispose()
      engine.arena.free(between.at)
    },
  }
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

function padColumns({ rows, cols, data }: Matrix, padded: number): Float32Array {
  const out = new Float32Array(rows * padded)
  for (let r = 0; r < rows; r++) out.set(data.subarray(r * cols, (r + 1) * cols), r * padded)
  return out
}
