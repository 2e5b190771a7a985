import type { Matrix } from '@reallm/tensor-io'
import { LevelFinder } from '../level-finder.ts'

/** Shares of the widest scale that the search starts from. */
export const STARTS = Float32Array.of(1, 0.85, 0.7, 0.55, 0.42, 0.32)
/** Least-squares refinements of each. */
export const ROUNDS = 3

export interface GroupScales {
  readonly scales: Float32Array
  /** Indices of the levels that are moved to 0; 0 where groups have no zero point. */
  readonly zeros: Uint8Array
}

/** Scales and zero points, a group after the other; the widest ones without `starts`. */
export function fitScales(
  values: Matrix,
  weights: Matrix,
  levels: Float32Array,
  { zeroPoint, starts }: { readonly zeroPoint: boolean; readonly starts: Float32Array },
): GroupScales {
  const finder = new LevelFinder(levels)
  const scales = new Float32Array(values.rows)
  const zeros = new Uint8Array(values.rows)
  for (let i = 0; i < values.rows; i++) {
    const x = values.data.subarray(i * values.cols, (i + 1) * values.cols)
    const w = (i % weights.rows) * weights.cols
    const found = fit(x, weights.data.subarray(w, w + weights.cols), levels, finder, zeroPoint, starts)
    scales[i] = found.scale
    zeros[i] = found.zero
  }
  return { scales, zeros }
}

interface Fitted {
  readonly scale: number
  readonly zero: number
}

function fit(
  x: Float32Array,
  weights: Float32Array,
  levels: Float32Array,
  finder: LevelFinder,
  zeroPoint: boolean,
  starts: Float32Array,
): Fitted {
  let best = widestScale(x, 1, levels, finder, zeroPoint)
  let least = Number.POSITIVE_INFINITY
  for (const share of starts) {
    const { scale: start, zero } = widestScale(x, share, levels, finder, zeroPoint)
    const shift = zeroPoint ? levels[zero] : 0
    let scale = start
    for (let round = 0; round <= ROUNDS && scale > 0; round++) {
      let error = 0
      let crossed = 0
      let squares = 0
      for (let i = 0; i < x.length; i++) {
        const level = levels[finder.find(x[i] / scale + shift)] - shift
        const lost = x[i] - scale * level
        error += weights[i] * lost * lost
        crossed += weights[i] * x[i] * level
        squares += weights[i] * level * level
      }
      if (error < least) {
        least = error
        best = { scale, zero }
      }
      if (!(squares > 0 && crossed > 0)) break
      scale = crossed / squares
    }
  }
  return best
}

/** The scale at which `share` of the group's span fits. */
function widestScale(
  x: Float32Array,
  share: number,
  levels: Float32Array,
  finder: LevelFinder,
  zeroPoint: boolean,
): Fitted {
  const last = levels[levels.length - 1]
  let low = 0
  let high = 0
  for (const v of x) {
    if (v < low) low = v
    if (v > high) high = v
  }
  if (!zeroPoint) return { scale: (share * Math.max(-low, high)) / Math.max(-levels[0], last), zero: 0 }
  const scale = (share * (high - low)) / (last - levels[0])
  return { scale, zero: scale > 0 ? finder.find(levels[0] - (share * low) / scale) : 0 }
}
