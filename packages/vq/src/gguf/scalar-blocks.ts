import type { Matrix } from '@reallm/tensor-io'
import { errorOf, type Fit, fitStep, fitStepAndShift, type Group } from './fit-group.ts'
import { halfBits, toHalf } from './half.ts'
import type { ScalarBlock } from './scalar-block.ts'
import type { ScalarType } from './scalar-types.ts'

/** Steps and codes of the blocks of a matrix, chosen from left to right. */
export interface Blocks {
  /** Columns that share a step. */
  readonly group: number
  /** Columns whose weights are rounded together. */
  readonly vector: number
  /** Chooses what a block's groups share, of its residual `[rows, block]`; absent where they share nothing. */
  startBlock?(residual: Matrix, block: number): void
  /** Chooses the steps of a group's weights, of their residual `[rows, group]`. */
  startGroup(residual: Matrix, group: number): void
  /** Rounds weights (`vector` of each row) of a column, and writes what they decode to over them. */
  round(values: Float32Array, row: number, col: number): void
  /** Writes a block's bytes. */
  pack(row: number, block: number, out: Uint8Array, at: number): void
}

/** What is stored of types with a code for each weight. */
export function scalarBlocks(
  type: ScalarType,
  [rows, cols]: readonly [number, number],
  block: number,
  importance: Float32Array,
): Blocks {
  const { nearest, group } = type
  const { levels, find } = nearest
  const perRow = cols / group
  const perBlock = block / group
  const blocks = cols / block
  const codes = new Uint8Array(rows * cols)
  const steps = new Float32Array(rows * perRow)
  const shifts = new Float32Array(rows * perRow)
  const whole = typeof type.step === 'object' ? type.step : undefined
  const shares = typeof type.shift === 'object' ? type.shift : undefined
  const blockSteps = new Float32Array(whole ? rows * blocks : 0)
  const blockShifts = new Float32Array(shares ? rows * blocks : 0)
  const scales = new Int16Array(whole ? rows * perRow : 0)
  const mins = new Int16Array(shares ? rows * perRow : 0)
  const signed = -levels[0] !== levels[levels.length - 1]

  const fit = (of: Group): Fit => {
    if (type.shift) return fitStepAndShift(of, nearest, shares ? 0 : Number.POSITIVE_INFINITY)
    return fitStep(of, nearest, signed)
  }

  function startBlock({ data }: Matrix, b: number): void {
    for (let r = 0; r < rows; r++) {
      const groups = Array.from(
        { length: perBlock },
        (_, g): Group => ({
          values: data,
          at: r * block + g * group,
          size: group,
          importance,
          column: b * block + g * group,
        }),
      )
      const fits = groups.map(fit)
      const found = shareOf(fits, groups, type)
      blockSteps[r * blocks + b] = toHalf(found.step)
      if (shares) blockShifts[r * blocks + b] = toHalf(found.shift)
    }
  }

  function startGroup({ data }: Matrix, g: number): void {
    for (let r = 0; r < rows; r++) {
      const of: Group = { values: data, at: r * group, size: group, importance, column: g * group }
      const at = r * perRow + g
      const found = fit(of)
      if (whole) {
        const b = r * blocks + Math.floor(g / perBlock)
        const chosen = nearestWhole(of, found, type, blockSteps[b], shares ? blockShifts[b] : 0)
        scales[at] = chosen.scale
        steps[at] = blockSteps[b] * chosen.scale
        if (shares) {
          mins[at] = chosen.min
          shifts[at] = -blockShifts[b] * chosen.min
        }
      } else if (type.step === 'power') {
        steps[at] = bestPower(of, found.step, type)
      } else {
        steps[at] = toHalf(found.step)
        if (type.shift) shifts[at] = toHalf(found.shift)
      }
    }
  }

  return {
    group,
    vector: 1,
    startGroup,
    ...(whole && { startBlock }),
    round(values, row, col) {
      const g = Math.floor(col / group)
      for (let r = 0; r < values.length; r++) {
        const at = (row + r) * perRow + g
        const step = steps[at]
        const shift = shifts[at]
        const code = find(step === 0 ? 0 : (values[r] - shift) / step)
        codes[(row + r) * cols + col] = code
        values[r] = step * levels[code] + shift
      }
    },
    pack(row, b, out, at) {
      const first = row * perRow + b * perBlock
      const stored: ScalarBlock = {
        codes: codes.subarray(row * cols + b * block, row * cols + (b + 1) * block),
        step:
          type.step === 'power'
            ? exponentOf(steps[first])
            : halfBits(whole ? blockSteps[row * blocks + b] : steps[first]),
        shift: halfBits(shares ? blockShifts[row * blocks + b] : shifts[first]),
        scales: scales.subarray(first, first + perBlock),
        mins: mins.subarray(first, first + perBlock),
      }
      type.pack(stored, out, at)
    },
  }
}

/** Step and shift that a block's groups share: as large as the largest group needs, then least squares of all. */
function shareOf(fits: readonly Fit[], groups: readonly Group[], type: ScalarType): Fit {
  const { least, most } = type.step as { least: number; most: number }
  const mostShift = typeof type.shift === 'object' ? type.shift.most : 1
  const { levels, find } = type.nearest
  const widest = fits.reduce((a, b) => (Math.abs(b.step) > Math.abs(a.step) ? b : a)).step
  if (widest === 0 && fits.every(f => f.shift === 0)) return { step: 0, shift: 0 }
  // The lower bound is the larger one where there is one.
  const step = widest / (least < 0 ? least : most)
  const shift = fits.reduce((a, { shift }) => Math.max(a, -shift), 0) / mostShift
  // Normal equations of the step and the (subtracted) shift.
  const sums = { ss: 0, st: 0, tt: 0, sx: 0, tx: 0 }
  for (const [i, { values, at, size, importance, column }] of groups.entries()) {
    const scale = step === 0 ? 0 : clamp(Math.round(fits[i].step / step), least, most)
    const min = shift === 0 ? 0 : clamp(Math.round(-fits[i].shift / shift), 0, mostShift)
    const width = step * scale
    for (let k = 0; k < size; k++) {
      const value = values[at + k]
      const level = levels[find(width === 0 ? 0 : (value + shift * min) / width)] * scale
      const weight = importance[column + k]
      sums.ss += weight * level * level
      sums.st -= weight * level * min
      sums.tt += weight * min * min
      sums.sx += weight * level * value
      sums.tx -= weight * min * value
    }
  }
  if (shift === 0 || sums.tt === 0) return { step: sums.ss > 0 ? sums.sx / sums.ss : step, shift }
  const determinant = sums.ss * sums.tt - sums.st * sums.st
  if (!(determinant > 1e-6 * sums.ss * sums.tt)) return { step, shift }
  const refined = {
    step: (sums.tt * sums.sx - sums.st * sums.tx) / determinant,
    shift: (sums.ss * sums.tx - sums.st * sums.sx) / determinant,
  }
  return refined.step > 0 && refined.shift > 0 ? refined : { step, shift }
}

/** The whole numbers nearest to a group's step and shift, and their neighbours: those with the least error. */
function nearestWhole(
  group: Group,
  { step, shift }: Fit,
  type: ScalarType,
  unit: number,
  shiftUnit: number,
): { readonly scale: number; readonly min: number } {
  const { least, most } = type.step as { least: number; most: number }
  const mostShift = typeof type.shift === 'object' ? type.shift.most : 0
  const scale = unit === 0 ? 0 : clamp(Math.round(step / unit), least, most)
  const min = shiftUnit === 0 ? 0 : clamp(Math.round(-shift / shiftUnit), 0, mostShift)
  let best = { scale, min }
  let error = Number.POSITIVE_INFINITY
  const around = mostShift > 0 && shiftUnit !== 0 ? 1 : 0
  for (let s = scale - 1; s <= scale + 1; s++) {
    if (s < least || s > most) continue
    for (let m = min - around; m <= min + around; m++) {
      if (m < 0 || m > mostShift) continue
      const found = errorOf(group, type.nearest, { step: unit * s, shift: -shiftUnit * m })
      if (found < error) {
        error = found
        best = { scale: s, min: m }
      }
    }
  }
  return best
}

/** Powers of two around a step: that with the least error. */
function bestPower(group: Group, step: number, { nearest }: ScalarType): number {
  if (step === 0) return 2 ** -128
  const power = Math.round(Math.log2(Math.abs(step)))
  let best = 0
  let error = Number.POSITIVE_INFINITY
  for (let p = power - 1; p <= power + 1; p++) {
    const found = errorOf(group, nearest, { step: 2 ** p, shift: 0 })
    if (found < error) {
      error = found
      best = p
    }
  }
  return 2 ** clamp(best, -128, 126)
}

const exponentOf = (step: number): number => Math.round(Math.log2(step)) + 128

const clamp = (value: number, least: number, most: number): number => Math.max(least, Math.min(most, value))
