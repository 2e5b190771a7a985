import { type Matrix, ReallmError } from '@reallm/tensor-io'
import { floats, reserve } from './engine.ts'
import { LevelFinder } from './level-finder.ts'
import { type GroupScales, ROUNDS, fitScales as reference, STARTS } from './reference/fit-scales.ts'
import { scalesEngine } from './scales-engine.ts'
import { shapeText } from './shapes.ts'

/** Options of `fitScales`. */
export interface ScaleOptions {
  /** Each group moves one level to 0; levels must be evenly spaced. */
  readonly zeroPoint?: boolean | undefined
  /** `absmax`: the largest value fits; `mse` (the default): the least weighted squared error, by a local search. */
  readonly clip?: 'absmax' | 'mse' | undefined
}

/** Values that are copied to the kernels' memory at a time. */
const BATCH = 1 << 20

/**
 * Scales of groups of values to rising `levels` (QLoRA, arXiv 2305.14314 §3; clipping after GPTQ's implementations): value
 * `≈ scale · (level − level[zero])`.
 *
 * @param values `[groups, size]`
 * @param weights of the squared errors, `[m, size]`: group i has row i % m
 * @param levels at most 256
 * @throws ReallmError `bad-tensor` when the shapes do not fit
 * @example
 * const { scales } = fitScales(groups, ones, Float32Array.of(-1.5, -0.5, 0.5, 1.5))
 */
export function fitScales(
  values: Matrix,
  weights: Matrix,
  levels: Float32Array,
  { zeroPoint = false, clip = 'mse' }: ScaleOptions = {},
): GroupScales {
  const { rows: n, cols: size } = values
  const { perUnit } = new LevelFinder(levels)
  if (weights.cols !== size || weights.rows === 0 || (zeroPoint && perUnit === 0)) {
    throw new ReallmError(
      'bad-tensor',
      `no scales for ${shapeText(values)} under weights ${shapeText(weights)}`,
      { hint: 'every value of a group takes a weight, and a zero point evenly spaced levels' },
    )
  }
  const starts = clip === 'mse' ? STARTS : new Float32Array(0)
  const e = scalesEngine()
  if (!e) return reference(values, weights, levels, { zeroPoint, starts })
  const m = weights.rows
  const width = Math.ceil(size / 4) * 4
  const batch = m * Math.max(1, Math.floor(BATCH / width / m))
  const scales = new Float32Array(n)
  const zeros = new Uint8Array(n)
  for (let from = 0; from < n; from += batch) {
    const rows = Math.min(batch, n - from)
    const [px, pw, pl, ps, po, pz] = reserve(
      e,
      ...[4 * rows * width, 4 * m * width, 4 * levels.length, 4 * starts.length, 4 * rows, 4 * rows],
    )
    setPadded(floats(e, px, rows * width), values, from, rows, width)
    setPadded(floats(e, pw, m * width), weights, 0, m, width)
    floats(e, pl, levels.length).set(levels)
    floats(e, ps, starts.length).set(starts)
    e.kernels.fitScales(
      ...([px, pw, rows, m, width, pl, levels.length, perUnit] as const),
      ...([ps, starts.length, ROUNDS, Number(zeroPoint), po, pz] as const),
    )
    scales.set(floats(e, po, rows), from)
    zeros.set(new Int32Array(e.memory.buffer, pz, rows), from)
  }
  return { scales, zeros }
}

/** Rows of a matrix, filled up with zeros to `width`. */
function setPadded(
  to: Float32Array,
  { data, cols }: Matrix,
  from: number,
  rows: number,
  width: number,
): void {
  if (width === cols) {
    to.set(data.subarray(from * cols, (from + rows) * cols))
    return
  }
  to.fill(0)
  for (let r = from; r < from + rows; r++) to.set(data.subarray(r * cols, (r + 1) * cols), (r - from) * width)
}
