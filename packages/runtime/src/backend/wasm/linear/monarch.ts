import type { Pointer } from '@reallm/kernels/inference'
import type { Matrix } from '@reallm/tensor-io'
import {
  type Monarch,
  monarchLayout,
  monarchResidualLayout,
  readMonarch,
} from '@reallm/tensor-io/layouts/monarch'
import { BATCH, type Engine } from '../engine.ts'
import type { Linear } from './linear.ts'
import { runner, wrapperRunner } from './runner.ts'

export const monarch = runner(monarchLayout, (engine, e) =>
  monarchLinear(engine, undefined, e.shape, readMonarch(e)),
)
export const monarchResidual = wrapperRunner(monarchResidualLayout, (engine, e, inner) =>
  monarchLinear(engine, inner, e.shape, readMonarch(e)),
)

const roundUp = (n: number) => 4 * Math.ceil(n / 4)

/**
 * A Monarch matrix run as the structure it is: t·(l·cols + k·rows) MACs per token instead of rows · cols.
 * `inner`, when given, is added: `y (+)= inner x + M x`.
 */
function monarchLinear(
  engine: Engine,
  inner: Linear | undefined,
  [rows, cols]: readonly [rows: number, cols: number],
  { inBlocks: k, outBlocks: l, rank: t, left, right }: Monarch,
): Linear {
  const [s, p] = [rows / l, cols / k]
  const [width, mixed] = [roundUp(p), roundUp(k * t)]
  const rightBlocks = blocks(engine, right, k)
  const leftBlocks = blocks(engine, left, l)
  const { arena } = engine

  return {
    rows,
    cols,
    multiplyAdds: (inner?.multiplyAdds ?? 0) + t * (l * cols + k * rows),
    bytes: (inner?.bytes ?? 0) + 4 * (k * roundUp(l * t) * width + l * roundUp(s) * mixed),
    apply(x, y, ldy, tokens, accumulate) {
      inner?.apply(x, y, ldy, tokens, accumulate)
      let from = x.at
      let ldx = x.width
      if (width !== p) {
        ldx = k * width
        from = engine.scratchBytes('monarch in', 4 * BATCH * ldx)
        const [values, padded] = [arena.floats(x.at, tokens * x.width), arena.floats(from, tokens * ldx)]
        padded.fill(0)
        for (let n = 0; n < tokens; n++) {
          for (let b = 0; b < k; b++) {
            const at = n * x.width + b * p
            padded.set(values.subarray(at, at + p), n * ldx + b * width)
          }
        }
      }
      const between = engine.scratchBytes('monarch between', 4 * BATCH * k * l * t)
      for (const [b, w] of rightBlocks.entries()) {
        const to = between + 4 * b * l * t
        engine.kernels.matmulFloat(w, from + 4 * b * width, ldx, to, k * l * t, l * t, width, tokens, 0, 1)
      }
      const dealt = engine.scratchBytes('monarch dealt', 4 * BATCH * l * mixed)
      deal(arena.floats(between, tokens * k * l * t), arena.floats(dealt, tokens * l * mixed), tokens)
      const out = engine.scratchBytes('monarch out', 4 * BATCH * rows)
      for (const [a, w] of leftBlocks.entries()) {
        engine.kernels.matmulFloat(
          w,
          dealt + 4 * a * mixed,
          l * mixed,
          out + 4 * a * s,
          rows,
          s,
          mixed,
          tokens,
          0,
          1,
        )
      }
      const sorted = engine.scratchBytes('monarch sorted', 4 * BATCH * rows)
      gather(arena.floats(out, tokens * rows), arena.floats(sorted, tokens * rows), tokens)
      deliver(engine, sorted, rows, y, ldy, tokens, accumulate || inner !== undefined)
    },
    row(index, out, scale) {
      if (inner) inner.row(index, out, scale)
      const values = arena.floats(out, cols)
      if (!inner) values.fill(0)
      const [a, i] = [index % l, Math.floor(index / l)]
      for (let c = 0; c < k * t; c++) {
        const weight = scale * left.data[(a * s + i) * k * t + c]
        const b = Math.floor(c / t)
        const line = ((b * l + a) * t + (c % t)) * p
        for (let j = 0; j < p; j++) values[b * p + j] += weight * right.data[line + j]
      }
    },
    dispose() {
      inner?.dispose()
      for (const at of [...rightBlocks, ...leftBlocks]) arena.free(at)
    },
  }

  /** `[k, l, t]` → `[l, k, t]` for every token, the last axes padded. */
  function deal(values: Float32Array, to: Float32Array, tokens: number): void {
    to.fill(0)
    for (let n = 0; n < tokens; n++) {
      for (let b = 0; b < k; b++) {
        for (let a = 0; a < l; a++) {
          for (let c = 0; c < t; c++)
            to[(n * l + a) * mixed + b * t + c] = values[((n * k + b) * l + a) * t + c]
        }
      }
    }
  }

  /** Output i of group a is row i·l + a. */
  function gather(values: Float32Array, to: Float32Array, tokens: number): void {
    for (let n = 0; n < tokens; n++) {
      for (let a = 0; a < l; a++) {
        for (let i = 0; i < s; i++) to[n * rows + i * l + a] = values[n * rows + a * s + i]
      }
    }
  }
}

/** `count` blocks of rows, each packed for the float kernel. */
function blocks(engine: Engine, { rows: all, cols, data }: Matrix, count: number): number[] {
  const [rows, width] = [all / count, roundUp(cols)]
  return Array.from({ length: count }, (_, b) => {
    const padded = new Float32Array(rows * width)
    for (let r = 0; r < rows; r++) {
      padded.set(data.subarray((b * rows + r) * cols, (b * rows + r + 1) * cols), r * width)
    }
    const staging = engine.upload(padded)
    const at = engine.allocateFloats(roundUp(rows) * width)
    engine.kernels.packFloats(staging, at, rows, width, width, 0)
    engine.arena.free(staging)
    return at
  })
}

/** Puts `[tokens, rows]` results where a layer's caller wants them. */
function deliver(
  { kernels }: Engine,
  from: Pointer,
  rows: number,
  y: Pointer,
  ldy: number,
  tokens: number,
  accumulate: boolean,
): void {
  for (let t = 0; t < tokens; t++) {
    if (accumulate) kernels.addInPlace(y + 4 * t * ldy, from + 4 * t * rows, rows)
    else kernels.copy(y + 4 * t * ldy, from + 4 * t * rows, rows)
  }
}
