import {
  packTile,
  TILE,
  TILE_WEIGHTS,
  type TrellisLayout,
  type TrellisSegment,
  trellisLayout,
  trellisSegments,
  unpackTile,
  viterbi,
} from '@reallm/kernels'
import {
  type ColumnEncoder,
  type EncodeContext,
  type EncodedMatrix,
  type LongWork,
  type Matrix,
  type MatrixShape,
  parseParams,
  ReallmError,
  type StorageCost,
  type Tensor,
  tensor,
  zeroMatrix,
} from '@reallm/tensor-io'
import type { z } from 'zod'
import { columnCodec, tileCounter } from '../shared/column-codec.ts'
import { deviations } from '../shared/deviations.ts'
import { createScales, readScales, scalesCost } from '../shared/scales.ts'
import { fitValues } from './fit-values.ts'
import { type TrellisParams, trellisParams } from './params.ts'
import { valuesCost, valuesOf } from './tables.ts'

export type Full = z.output<typeof trellisParams>

/**
 * Bit-shift trellis code with tail-biting over tiles of 16 × 16 weights (QTIP, arXiv 2406.11235): each weight takes
 * k bits of a cyclic bit stream, and stands for `scale · table[last L bits]`. The path is found by Viterbi's algorithm.
 *
 * Best on normally distributed weights, that is behind a rotation. Mean squared error on unit normals at 2 bits:
 * see the package's README.
 *
 * Parts: `codes<k>` U32 for each segment of `trellisSegments(cols, bits)`, laid out as `trellisLayout` says; `scales`
 * F32 `[1, 1]` or F16 `[rows, 1]`; where trained `table<k>` I8 (times 1/32) or F16 `[2^stateBits]`; for a network
 * `network<k>` I8 `[hidden, stateBits + 3]` and `networkSteps<k>` F16 `[2]`.
 *
 * @example
 * const stored = await trellis.encode(w, { bits: 2.5, stateBits: 12 }, { seed: 1 })
 * const approx = trellis.decode(stored)
 */
export const trellis = trellisOf(undefined)

/** Values of the states by the names of their parts: `network2.25`, … */
export type SharedValues = Readonly<Record<string, Tensor>>

/**
 * The same codec with values that were fitted before, to a group of matrices: each stores the same tensors, which an
 * artifact holds once.
 *
 * @example
 * const values = await fitShared(queries, params, { seed: 1 })
 * const codec = rotated(withFeedback(trellisWith(values)))
 */
export const trellisWith = (values: SharedValues) => trellisOf(values)

/**
 * Fits values (`network` or `trained`) to all matrices of a group at once; they must have the same width.
 *
 * @param hessians of the matrices' inputs: the columns' weights in the fit
 */
export async function fitShared(
  group: readonly Matrix[],
  given: TrellisParams,
  ctx: LongWork & { readonly seed: number; readonly hessians?: readonly Matrix[] },
): Promise<SharedValues> {
  const params = parseParams('trellis', trellisParams, given)
  if (group.length === 0 || group.some(w => w.cols !== group[0].cols)) {
    throw new ReallmError('bad-option', 'matrices that share a trellis code have the same width')
  }
  const members = group.map((w, i) => ({
    w,
    scales: deviations(w, params.scale).map(s => s * params.gain),
    ...(ctx.hessians && { hessian: ctx.hessians[i] }),
  }))
  const parts: Record<string, Tensor> = {}
  for (const segment of trellisSegments(group[0].cols, params.bits))
    Object.assign(parts, await fitValues(members, params, segment, ctx))
  return parts
}

function trellisOf(shared: SharedValues | undefined) {
  return columnCodec<TrellisParams, Full>({
    name: 'trellis',
    params: trellisParams,
    cost,
    columns: (w, params, ctx) => createEncoder(w, params, ctx, shared),
    decodeRows,
  })
}

function cost([rows, cols]: MatrixShape, params: Full): StorageCost {
  const parts: Record<string, StorageCost[string]> = {
    ...(params.scale === 'row' ? scalesCost('f16', rows, 1) : scalesCost('f32', 1, 1)),
  }
  for (const { bits, from, to } of trellisSegments(cols, params.bits)) {
    parts[`codes${bits}`] = { dtype: 'U32', shape: [trellisLayout(rows, to - from, bits).words] }
    Object.assign(parts, valuesCost(params, bits))
  }
  return parts
}

/** Columns of one rate, being coded. */
interface CodedSegment extends TrellisSegment {
  readonly layout: TrellisLayout
  readonly words: Uint32Array<ArrayBuffer>
  readonly lut: Float32Array
  /** What is stored of the values. */
  readonly values: Readonly<Record<string, Tensor>>
}

async function createEncoder(
  w: Matrix,
  params: Full,
  ctx: EncodeContext,
  shared: SharedValues | undefined,
): Promise<ColumnEncoder> {
  const { rows, cols } = w
  const initial = deviations(w, params.scale).map(s => s * params.gain)
  const scales = createScales(params.scale === 'row' ? 'f16' : 'f32', initial, initial.length)
  const segments: CodedSegment[] = []
  for (const segment of trellisSegments(cols, params.bits)) {
    const layout = trellisLayout(rows, segment.to - segment.from, segment.bits)
    const names = Object.keys(valuesCost(params, segment.bits))
    const values =
      names.length === 0
        ? {}
        : shared
          ? Object.fromEntries(names.map(name => [name, shared[name]]))
          : await fitValues(
              [{ w, scales: scales.values, ...(ctx.hessian && { hessian: ctx.hessian }) }],
              params,
              segment,
              ctx,
            )
    const words = new Uint32Array(layout.words)
    segments.push({ ...segment, layout, words, values, lut: valuesOf(values, params, segment.bits) })
  }
  const inverse = scales.values.map(s => (s > 0 ? 1 / s : 0))
  const tiles = tileCounter('trellis', [rows, cols])

  return {
    tileCols: TILE,
    tileRows: TILE,
    groupCols: TILE,
    quantise(block, row, col) {
      tiles.add(block, row, col)
      const { bits, lut, layout, words, from } = segments.find(s => col < s.to)!
      const { values, weights } = toTiles(block, row, inverse)
      const states = viterbi(values, { bits, lut, ...(weights && { weights }) })
      for (let t = 0; t * TILE_WEIGHTS < states.length; t++) {
        const path = states.subarray(t * TILE_WEIGHTS, (t + 1) * TILE_WEIGHTS)
        packTile(words, layout, row / TILE + t, (col - from) / TILE, path)
      }
      const out = zeroMatrix(block.rows, block.cols)
      for (let r = 0; r < block.rows; r++) {
        const scale = scales.values[params.scale === 'row' ? row + r : 0]
        for (let c = 0; c < block.cols; c++) out.data[r * block.cols + c] = scale * lut[states[r * TILE + c]]
      }
      return out
    },
    finish() {
      tiles.finish()
      const parts: Record<string, Tensor> = { ...scales.parts() }
      for (const { bits, words, values } of segments)
        Object.assign(parts, { [`codes${bits}`]: tensor('U32', [words.length], words) }, values)
      return { codec: 'trellis', params, shape: [rows, cols], parts }
    },
  }
}

/** Cuts a column block into tiles of unit variance, padded with zeros that weigh nothing. */
function toTiles(block: Matrix, row: number, inverse: Float32Array) {
  const rows = TILE * Math.ceil(block.rows / TILE)
  const values = new Float32Array(rows * TILE)
  const padded = rows > block.rows || block.cols < TILE
  const weights = padded ? new Float32Array(rows * TILE) : undefined
  for (let r = 0; r < block.rows; r++) {
    const scale = inverse.length > 1 ? inverse[row + r] : inverse[0]
    for (let c = 0; c < block.cols; c++) {
      values[r * TILE + c] = scale * block.data[r * block.cols + c]
      if (weights) weights[r * TILE + c] = 1
    }
  }
  return { values, weights }
}

function decodeRows(e: EncodedMatrix<Full>, from: number, to: number): Matrix {
  const [rows, cols] = e.shape
  const { params } = e
  const out = zeroMatrix(to - from, cols)
  const scales = params.scale === 'row' ? readScales(e, from, to) : readScales(e, 0, 1)
  const states = new Uint16Array(TILE_WEIGHTS)
  for (const segment of trellisSegments(cols, params.bits)) {
    const layout = trellisLayout(rows, segment.to - segment.from, segment.bits)
    const lut = valuesOf(e.parts, params, segment.bits)
    const words = e.parts[`codes${segment.bits}`].data as Uint32Array
    for (let tileRow = Math.floor(from / TILE); tileRow * TILE < to; tileRow++) {
      const first = Math.max(from, tileRow * TILE)
      const last = Math.min(to, (tileRow + 1) * TILE)
      for (let tileCol = 0; tileCol < layout.tileCols; tileCol++) {
        unpackTile(words, layout, tileRow, tileCol, params.stateBits, states)
        const left = segment.from + tileCol * TILE
        const width = Math.min(TILE, segment.to - left)
        for (let r = first; r < last; r++) {
          const scale = scales[params.scale === 'row' ? r - from : 0]
          const path = (r - tileRow * TILE) * TILE
          const at = (r - from) * cols + left
          for (let c = 0; c < width; c++) out.data[at + c] = scale * lut[states[path + c]]
        }
      }
    }
  }
  return out
}
