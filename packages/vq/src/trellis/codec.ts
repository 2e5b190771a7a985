import { trellisRates, viterbi } from '@reallm/kernels'
import {
  type DecodedSegment,
  decodeTrellisRows,
  trellisMatrix,
  trellisValues,
} from '@reallm/kernels/decode/trellis'
import {
  type ColumnContext,
  type ColumnEncoder,
  type GivenOf,
  type LongWork,
  type Matrix,
  parseParams,
  ReallmError,
  type Tensor,
  tensor,
  zeroMatrix,
} from '@reallm/tensor-io'
import {
  type FullTrellisParams,
  mostTrellisBits,
  networkNames,
  packTile,
  storesNetwork,
  TILE,
  TILE_LANES,
  TILE_WEIGHTS,
  trellisLayout,
  trellisSegments,
  trellisWords,
} from '@reallm/tensor-io/layouts'
import { columnCodec, tileCounter } from '../shared/column-codec.ts'
import { deviations } from '../shared/deviations.ts'
import { createScales } from '../shared/scales.ts'
import { fitNetwork } from './fit-network.ts'
import { joinTrellis } from './join-bands.ts'
import { widestColumn } from './widest-column.ts'

/** Parameters of the codec `trellis`. */
export type TrellisParams = GivenOf<typeof trellisLayout>

/**
 * Bit-shift trellis code with tail-biting over tiles of 16 × 16 weights (QTIP, arXiv 2406.11235): each weight takes
 * k bits of a cyclic bit stream, and decodes to `scale · table[last L bits]`. The path is found by Viterbi's algorithm.
 *
 * Made for normally distributed weights: rotate first. Under error feedback, columns share the rate by the cost of an error in them
 * (`trellisRates`), except with `values: 'network'`, whose networks are fitted to one rate each.
 *
 * @example
 * const stored = await trellis.encode(w, { bits: 2.5, stateBits: 12 }, { seed: 1 })
 * const approx = trellis.decode(stored)
 */
export const trellis = trellisOf(undefined)

/** Fitted networks by the names of their parts: `network2.25`, … */
export type SharedNetworks = Readonly<Record<string, Tensor>>

/**
 * The same codec with networks that `fitShared` fitted to a group of matrices. Each matrix stores the same tensors, which an
 * artifact holds once.
 *
 * @example
 * const networks = await fitShared(queries, params, { seed: 1 })
 * const codec = rotated(withFeedback(trellisWith(networks)))
 */
export const trellisWith = (networks: SharedNetworks) => trellisOf(networks)

/**
 * Fits one network (`values: 'network'`) for each rate to all matrices of a group; they must have the same width.
 *
 * @param ctx `hessians` of the matrices' inputs, `[in, in]`: their diagonals weight errors
 * @throws ReallmError `bad-option` when widths differ
 */
export async function fitShared(
  group: readonly Matrix[],
  given: TrellisParams,
  ctx: LongWork & { readonly seed: number; readonly hessians?: readonly Matrix[] | undefined },
): Promise<SharedNetworks> {
  const params = parseParams(trellisLayout, given)
  if (group.length === 0 || group.some(w => w.cols !== group[0].cols)) {
    throw new ReallmError('bad-option', 'matrices that share a trellis code have the same width')
  }
  const members = group.map((w, i) => ({
    w,
    scales: deviations(w, params.scale),
    hessian: ctx.hessians?.[i],
  }))
  const parts: Record<string, Tensor> = {}
  const { rows, cols } = group[0]
  for (const segment of trellisSegments(rows, cols, trellisRates(cols, params.bits, mostTrellisBits(params))))
    Object.assign(parts, await fitNetwork(members, params, segment, ctx))
  return parts
}

function trellisOf(shared: SharedNetworks | undefined) {
  return columnCodec({
    layout: trellisLayout,
    columns: (w, params, ctx) => createEncoder(w, params, ctx, shared),
    decodeRows(e, from, to) {
      const out = zeroMatrix(to - from, e.shape[1])
      decodeTrellisRows(trellisMatrix(e), from, to, out.data)
      return out
    },
    bands: {
      rows: params => (params.scale === 'row' && !storesNetwork(params) ? TILE * TILE_LANES : undefined),
      join: joinTrellis,
    },
  })
}

async function createEncoder(
  w: Matrix,
  params: FullTrellisParams,
  ctx: ColumnContext,
  shared: SharedNetworks | undefined,
): Promise<ColumnEncoder> {
  const { rows, cols } = w
  const loss = storesNetwork(params) ? undefined : ctx.columnLoss?.(TILE)
  const rates = trellisRates(cols, params.bits, mostTrellisBits(params), loss)
  const deviation = deviations(w, params.scale)
  const widest = widestColumn(rates, cols, ctx)
  const initial = deviation.map(s => s * widest)
  const scales = createScales(params.scale === 'row' ? 'f16' : 'f32', initial, initial.length, ctx)
  const codes = new Uint32Array(trellisWords(rows, cols, params.bits))
  const networks: Record<string, Tensor> = {}
  const segments: DecodedSegment[] = []
  for (const segment of trellisSegments(rows, cols, rates)) {
    if (storesNetwork(params)) {
      const member = { w, scales: deviation, hessian: ctx.hessian }
      const fitted = shared ?? (await fitNetwork([member], params, segment, ctx))
      for (const name of Object.values(networkNames(segment.bits))) networks[name] = fitted[name]
    }
    const words = codes.subarray(segment.firstWord, segment.firstWord + segment.tiles.words)
    segments.push({ ...segment, words, table: trellisValues(networks, params, segment.bits) })
  }
  const inverse = scales.values.map(s => (s > 0 ? 1 / s : 0))
  const counter = tileCounter('trellis', [rows, cols])

  return {
    tileCols: TILE,
    tileRows: TILE,
    groupCols: TILE,
    quantise(block, row, col) {
      counter.add(block, row, col)
      const { bits, table, tiles, words, from } = segments.find(s => col < s.to)!
      const { values: x, weights } = toTiles(block, row, inverse)
      const states = viterbi(x, { bits, lut: table, weights })
      for (let t = 0; t * TILE_WEIGHTS < states.length; t++) {
        const path = states.subarray(t * TILE_WEIGHTS, (t + 1) * TILE_WEIGHTS)
        packTile(words, tiles, row / TILE + t, (col - from) / TILE, path)
      }
      const out = zeroMatrix(block.rows, block.cols)
      for (let r = 0; r < block.rows; r++) {
        const scale = scales.values[params.scale === 'row' ? row + r : 0]
        for (let c = 0; c < block.cols; c++)
          out.data[r * block.cols + c] = scale * table[states[r * TILE + c]]
      }
      return out
    },
    finish() {
      counter.finish()
      const parts = {
        rates: tensor('U8', [rates.length], rates),
        codes: tensor('U32', [codes.length], codes),
        ...scales.parts(),
        ...networks,
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
