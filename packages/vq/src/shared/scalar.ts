import type { ColumnEncoder, EncodedMatrix, Matrix, MatrixShape, StorageCost } from '@reallm/tensor-io'
import { tileCounter } from './column-codec.ts'
import { LevelFinder } from './level-finder.ts'
import { packedShape, packRows, unpackRow } from './pack-rows.ts'
import { createScales, readScales, type ScaleFormat, scalesCost } from './scales.ts'

/** What scalar codecs share: one code per weight, a scale (and a zero point) per group of a row. */
export interface ScalarOptions {
  readonly bits: number
  /** Values of the codes, rising, before scaling. */
  readonly levels: Float32Array
  /** Columns that share a scale. */
  readonly group: number
  readonly scales: ScaleFormat
  /** `absmax`: the largest weight fits. `mse`: the scale with the least (weighted) squared error. */
  readonly clip: 'absmax' | 'mse'
  /** Each group also stores a code whose level is moved to 0: value = scale · (level[code] − level[zero]). */
  readonly zeroPoint: boolean
}

/** Tensors of a scalar code. */
export function scalarCost([rows, cols]: MatrixShape, o: ScalarOptions): StorageCost {
  const perRow = cols / o.group
  return {
    codes: { dtype: 'U8', shape: packedShape(rows, cols, o.bits) },
    ...scalesCost(o.scales, rows, perRow),
    ...(o.zeroPoint && { zeros: { dtype: 'U8', shape: packedShape(rows, perRow, o.bits) } }),
  }
}

/** Quantises column by column; scales are chosen at each group's start, or on `w` where nobody starts groups. */
export function scalarEncoder(
  header: Pick<EncodedMatrix, 'codec' | 'params'>,
  w: Matrix,
  o: ScalarOptions,
  hessian: Matrix | undefined,
): ColumnEncoder {
  const { rows, cols } = w
  const perRow = cols / o.group
  const codes = new Uint8Array(rows * cols)
  const zeros = new Uint8Array(rows * perRow)
  const importance = Float32Array.from({ length: cols }, (_, c) => (hessian ? hessian.data[c * cols + c] : 1))
  const finder = new LevelFinder(o.levels)
  const fit = groupFitter(o, finder)
  const tiles = tileCounter(header.codec, [rows, cols])
  const initial = new Float32Array(rows * perRow)
  for (let i = 0; i < initial.length; i++) {
    const col = (i % perRow) * o.group
    const best = fit(w.data.subarray(i * o.group, (i + 1) * o.group), importance.subarray(col, col + o.group))
    initial[i] = best.scale
    zeros[i] = best.zero
  }
  const scales = createScales(o.scales, initial, rows)

  function startGroup(residual: Matrix, col: number): void {
    const g = col / o.group
    for (let r = 0; r < rows; r++) {
      const values = residual.data.subarray(r * o.group, (r + 1) * o.group)
      const best = fit(values, importance.subarray(col, col + o.group))
      scales.set(r * perRow + g, best.scale)
      zeros[r * perRow + g] = best.zero
    }
  }

  return {
    tileCols: 1,
    tileRows: 1,
    groupCols: o.group,
    startGroup,
    quantise(block, row, col) {
      tiles.add(block, row, col)
      const out = new Float32Array(block.data.length)
      for (let r = 0; r < block.rows; r++) {
        const at = (row + r) * perRow + Math.floor(col / o.group)
        const scale = scales.values[at]
        const shift = o.zeroPoint ? o.levels[zeros[at]] : 0
        const code = finder.find((scale > 0 ? block.data[r] / scale : 0) + shift)
        codes[(row + r) * cols + col] = code
        out[r] = scale * (o.levels[code] - shift)
      }
      return { rows: block.rows, cols: 1, data: out }
    },
    finish() {
      tiles.finish()
      return {
        ...header,
        shape: [rows, cols],
        parts: {
          codes: packRows(codes, rows, o.bits),
          ...scales.parts(),
          ...(o.zeroPoint && { zeros: packRows(zeros, rows, o.bits) }),
        },
      }
    },
  }
}

/** Rows `from` to `to` of a scalar code. */
export function decodeScalar(e: EncodedMatrix, o: ScalarOptions, from: number, to: number): Matrix {
  const cols = e.shape[1]
  const perRow = cols / o.group
  const scales = readScales(e, from * perRow, to * perRow)
  const data = new Float32Array((to - from) * cols)
  for (let r = from, at = 0; r < to; r++) {
    const codes = unpackRow(e.parts.codes, r, cols, o.bits)
    const zeros = o.zeroPoint ? unpackRow(e.parts.zeros, r, perRow, o.bits) : undefined
    for (let g = 0, c = 0; g < perRow; g++) {
      const scale = scales[(r - from) * perRow + g]
      const shift = zeros ? o.levels[zeros[g]] : 0
      for (const end = c + o.group; c < end; c++) data[at++] = scale * (o.levels[codes[c]] - shift)
    }
  }
  return { rows: to - from, cols, data }
}

/** Shares of the absmax scale that the search for the best clipping starts from. */
const CLIP_STARTS = [1, 0.85, 0.7, 0.55, 0.42, 0.32]
/** Least-squares refinements of each. */
const CLIP_ROUNDS = 3

/** Scale and zero point of one group. */
function groupFitter({ levels, clip, zeroPoint }: ScalarOptions, finder: LevelFinder) {
  const last = levels.length - 1
  const largest = Math.max(-levels[0], levels[last])
  const span = levels[last] - levels[0]

  function widest(x: Float32Array, share: number): { scale: number; zero: number } {
    let min = 0
    let max = 0
    for (const v of x) {
      if (v < min) min = v
      if (v > max) max = v
    }
    if (!zeroPoint) return { scale: (share * Math.max(-min, max)) / largest, zero: 0 }
    const scale = (share * (max - min)) / span
    return { scale, zero: scale > 0 ? finder.find(levels[0] - (share * min) / scale) : 0 }
  }

  return (x: Float32Array, importance: Float32Array): { scale: number; zero: number } => {
    if (clip === 'absmax') return widest(x, 1)
    let best = { scale: 0, zero: 0 }
    let least = Number.POSITIVE_INFINITY
    for (const share of CLIP_STARTS) {
      const start = widest(x, share)
      const shift = zeroPoint ? levels[start.zero] : 0
      let { scale } = start
      for (let round = 0; round <= CLIP_ROUNDS && scale > 0; round++) {
        let error = 0
        let xl = 0
        let ll = 0
        const inverse = 1 / scale
        for (let i = 0; i < x.length; i++) {
          const level = levels[finder.find(x[i] * inverse + shift)] - shift
          const d = x[i] - scale * level
          error += importance[i] * d * d
          xl += importance[i] * x[i] * level
          ll += importance[i] * level * level
        }
        if (error < least) {
          least = error
          best = { scale, zero: start.zero }
        }
        if (!(ll > 0 && xl > 0)) break
        scale = xl / ll
      }
    }
    return least === Number.POSITIVE_INFINITY ? widest(x, 1) : best
  }
}
