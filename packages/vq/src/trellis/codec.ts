import {
  MAX_TRELLIS_BITS,
  packTile,
  TILE,
  TILE_WEIGHTS,
  type TrellisSegment,
  trellisRates,
  trellisSegments,
  trellisWords,
  unpackTile,
  viterbi,
} from '@reallm/kernels'
import {
  type ColumnContext,
  type ColumnEncoder,
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
import { columnCodec, tileCounter } from '../shared/column-codec.ts'
import { deviations } from '../shared/deviations.ts'
import { createScales, readScales, scalesCost } from '../shared/scales.ts'
import { fitValues } from './fit-values.ts'
import { type Full, type TrellisParams, trellisParams } from './params.ts'
import { valuesCost, valuesOf } from './tables.ts'

/**
 * Bit-shift trellis code with tail-biting over tiles of 16 × 16 weights (QTIP, arXiv 2406.11235): each weight takes
 * k bits of a cyclic bit stream, and stands for `scale · table[last L bits]`. The path is found by Viterbi's algorithm.
 *
 * Best on normally distributed weights, that is behind a rotation. Mean squared error on unit normals at 2 bits:
 * see the package's README.
 *
 * Parts: `rates` U8 of the tile columns, four times their bits per weight; `codes` U32, one segment of
 * `trellisSegments` after the other; `scales` F32 `[1, 1]` or F16 `[rows, 1]`; where trained `table<k>` I8 (times 1/32) or
 * F16 `[2^stateBits]`; for a network `network<k>` I8 `[hidden, stateBits + 3]` and `networkSteps<k>` F16 `[2]`.
 *
 * Behind feedback rounding, columns share the rate by what an error in them costs (`trellisRates`); not so where values
 * are stored, which are fitted to one rate.
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
  for (const segment of evenSegments([group[0].rows, group[0].cols], params))
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
  const most = mostBits(params)
  if (params.bits > most) {
    throw new ReallmError(
      'bad-option',
      `${params.stateBits} state bits code at most ${most} bits per weight`,
      {
        hint: `raise stateBits to ${Math.ceil(params.bits) + 3} or more`,
      },
    )
  }
  const parts: Record<string, StorageCost[string]> = {
    rates: { dtype: 'U8', shape: [Math.ceil(cols / TILE)] },
    codes: { dtype: 'U32', shape: [trellisWords(rows, cols, params.bits)] },
    ...(params.scale === 'row' ? scalesCost('f16', rows, 1) : scalesCost('f32', 1, 1)),
  }
  for (const { bits } of evenSegments([rows, cols], params)) Object.assign(parts, valuesCost(params, bits))
  return parts
}

/** A state has to remember more than the bits that a weight appends. */
const mostBits = ({ stateBits }: Full): number => Math.min(MAX_TRELLIS_BITS, stateBits - 3)

/** Columns of equal importance. */
const evenSegments = ([rows, cols]: MatrixShape, params: Full): TrellisSegment[] =>
  trellisSegments(rows, cols, trellisRates(cols, params.bits, mostBits(params)))

/** Columns of one rate, being coded. */
interface CodedSegment extends TrellisSegment {
  readonly words: Uint32Array
  readonly lut: Float32Array
}

async function createEncoder(
  w: Matrix,
  params: Full,
  ctx: ColumnContext,
  shared: SharedValues | undefined,
): Promise<ColumnEncoder> {
  const { rows, cols } = w
  const initial = deviations(w, params.scale).map(s => s * params.gain)
  const scales = createScales(params.scale === 'row' ? 'f16' : 'f32', initial, initial.length)
  const stores = params.values === 'trained' || params.values === 'network'
  const rates = trellisRates(cols, params.bits, mostBits(params), stores ? undefined : ctx.columnLoss?.(TILE))
  const codes = new Uint32Array(trellisWords(rows, cols, params.bits))
  const values: Record<string, Tensor> = {}
  const segments: CodedSegment[] = []
  for (const segment of trellisSegments(rows, cols, rates)) {
    const names = Object.keys(valuesCost(params, segment.bits))
    if (shared) for (const name of names) values[name] = shared[name]
    else if (names.length > 0) {
      const member = { w, scales: scales.values, ...(ctx.hessian && { hessian: ctx.hessian }) }
      Object.assign(values, await fitValues([member], params, segment, ctx))
    }
    const words = codes.subarray(segment.firstWord, segment.firstWord + segment.layout.words)
    segments.push({ ...segment, words, lut: valuesOf(values, params, segment.bits) })
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
      const { values: x, weights } = toTiles(block, row, inverse)
      const states = viterbi(x, { bits, lut, ...(weights && { weights }) })
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
      const parts = {
        rates: tensor('U8', [rates.length], rates),
        codes: tensor('U32', [codes.length], codes),
        ...scales.parts(),
        ...values,
      }
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
  const codes = e.parts.codes.data as Uint32Array
  for (const segment of trellisSegments(rows, cols, e.parts.rates.data as Uint8Array)) {
    const { layout, firstWord } = segment
    const lut = valuesOf(e.parts, params, segment.bits)
    const words = codes.subarray(firstWord, firstWord + layout.words)
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
