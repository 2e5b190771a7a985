import { f16ToF32, type MatrixShape, type Stored, type Tensor } from '@reallm/tensor-io'
import {
  type CodedSegment,
  type FullTrellisParams,
  networkNames,
  readTrellis,
  readTrellisScales,
  type trellisLayout,
} from '@reallm/tensor-io/layouts/trellis'
import { TILE, TILE_WEIGHTS, unpackTile } from '@reallm/tensor-io/layouts/trellis-tiles'
import { networkTable, networkWeights } from '../trellis-network.ts'
import { trellisTable } from '../trellis-tables.ts'

/** Columns of one rate with the values of their states, `[2^stateBits]`. */
export interface DecodedSegment extends CodedSegment {
  readonly table: Float32Array
}

/** A bit-shift trellis code as it is stored. */
export interface TrellisMatrix {
  readonly shape: MatrixShape
  readonly stateBits: number
  readonly segments: readonly DecodedSegment[]
  /** One, or one for each row. */
  readonly scales: Float32Array
}

/** The segments of a stored matrix with the values of their states, and its scales. */
export function trellisMatrix(e: Stored<typeof trellisLayout>): TrellisMatrix {
  const segments = readTrellis(e).map(segment => ({
    ...segment,
    table: trellisValues(e.parts, e.params, segment.bits),
  }))
  return { shape: e.shape, stateBits: e.params.stateBits, segments, scales: readTrellisScales(e) }
}

/** The values of the states at one rate, `[2^stateBits]`: the fixed table, or the stored network's. */
export function trellisValues(
  parts: Readonly<Record<string, Tensor>>,
  { values, stateBits }: Pick<FullTrellisParams, 'values' | 'stateBits'>,
  bits: number,
): Float32Array {
  if (values === 'gauss') return trellisTable(stateBits, bits)
  const names = networkNames(bits)
  const codes = parts[names.network].data as Int8Array
  const steps = f16ToF32(parts[names.steps].data as Uint16Array)
  return networkTable(stateBits, bits, networkWeights(codes, steps, stateBits))
}

/** Decodes rows `from` to `to` (exclusive) into `out`, row by row. */
export function decodeTrellisRows(m: TrellisMatrix, from: number, to: number, out: Float32Array): void {
  const [, cols] = m.shape
  const states = new Uint16Array(TILE_WEIGHTS)
  for (const { tiles, words, table, from: left, to: right } of m.segments) {
    for (let tileRow = Math.floor(from / TILE); tileRow * TILE < to; tileRow++) {
      const first = Math.max(from, tileRow * TILE)
      const last = Math.min(to, (tileRow + 1) * TILE)
      for (let tileCol = 0; tileCol < tiles.tileCols; tileCol++) {
        unpackTile(words, tiles, tileRow, tileCol, m.stateBits, states)
        const at = left + tileCol * TILE
        const width = Math.min(TILE, right - at)
        for (let r = first; r < last; r++) {
          const scale = m.scales[m.scales.length > 1 ? r : 0]
          const path = (r - tileRow * TILE) * TILE
          for (let c = 0; c < width; c++) out[(r - from) * cols + at + c] = scale * table[states[path + c]]
        }
      }
    }
  }
}
