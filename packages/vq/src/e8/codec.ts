import { nearestCentroid } from '@reallm/kernels'
import {
  type ColumnEncoder,
  type GivenOf,
  type Matrix,
  type ParamsOf,
  type Stored,
  tensor,
  zeroMatrix,
} from '@reallm/tensor-io'
import { e8Layout, readWholeScales } from '@reallm/tensor-io/layouts'
import { columnCodec, tileCounter } from '../shared/column-codec.ts'
import { deviations } from '../shared/deviations.ts'
import { createScales } from '../shared/scales.ts'
import { DIM, decodeE8, nearestE8, shortE8 } from './lattice.ts'

/** Parameters of the codec `e8`. */
export type E8Params = GivenOf<typeof e8Layout>
type Full = ParamsOf<typeof e8Layout>

/** Spacing of the lattice over the deviation of the weights, and of the second stage over the first: least error on normal weights. */
const SPACING = {
  2: { first: 0.97, second: 0 },
  3: { first: 1, second: 0.4 },
  4: { first: 1.05, second: 0.26 },
}

/**
 * E8 lattice code: 8 neighbouring weights of a row become one of 2^16 points of the densest lattice in 8 dimensions
 * (QuIP#, arXiv 2402.04396 §4.2); at 3 and 4 bits a second, finer code stores the residual. Decoding needs a table of 2 KB.
 * Made for normally distributed weights: rotate first.
 *
 * @example
 * const stored = await e8.encode(w, { bits: 2 }, { seed: 1 })
 */
export const e8 = columnCodec({
  layout: e8Layout,
  columns: async (w, params) => createEncoder(w, params),
  decodeRows,
})

function createEncoder(w: Matrix, params: Full): ColumnEncoder {
  const { rows, cols } = w
  const { first, second } = SPACING[params.bits]
  const initial = deviations(w, params.scale).map(s => s * first)
  const scales = createScales(params.scale === 'row' ? 'f16' : 'f32', initial, initial.length)
  const vectors = Math.ceil(cols / DIM)
  const codes = new Uint16Array(rows * vectors)
  const residual = params.bits === 3 ? new Uint8Array(rows * vectors) : new Uint16Array(rows * vectors)
  const tiles = tileCounter('e8', [rows, cols])
  return {
    tileCols: DIM,
    tileRows: 1,
    groupCols: DIM,
    quantise(block, row, col) {
      tiles.add(block, row, col)
      const x = { rows: block.rows, cols: DIM, data: new Float32Array(block.rows * DIM) }
      const left = { ...x, data: new Float32Array(x.data.length) }
      const out = zeroMatrix(block.rows, block.cols)
      const at = (r: number) => (row + r) * vectors + col / DIM
      const scaleOf = (r: number) => scales.values[params.scale === 'row' ? row + r : 0]
      for (let r = 0; r < block.rows; r++) {
        const inverse = scaleOf(r) > 0 ? 1 / scaleOf(r) : 0
        for (let c = 0; c < block.cols; c++) x.data[r * DIM + c] = inverse * block.data[r * block.cols + c]
        codes[at(r)] = nearestE8(x.data, r * DIM)
        if (params.bits === 2) continue
        decodeE8(codes[at(r)], 1, left.data, r * DIM)
        for (let i = r * DIM; i < (r + 1) * DIM; i++) left.data[i] = (x.data[i] - left.data[i]) / second
        if (params.bits === 4) residual[at(r)] = nearestE8(left.data, r * DIM)
      }
      if (params.bits === 3) {
        const nearest = nearestCentroid(left, { rows: 256, cols: DIM, data: oneBit() })
        nearest.forEach((code, r) => {
          residual[at(r)] = code
        })
      }
      const vector = new Float32Array(DIM)
      for (let r = 0; r < block.rows; r++) {
        decodeVector(codes[at(r)], residual[at(r)], scaleOf(r), params.bits, vector, 0)
        out.data.set(vector.subarray(0, block.cols), r * block.cols)
      }
      return out
    },
    finish() {
      tiles.finish()
      const shape = [rows, vectors]
      const parts = {
        codes: tensor('U16', shape, codes),
        ...(params.bits > 2 && {
          residual: tensor(params.bits === 3 ? 'U8' : 'U16', shape, residual),
        }),
        ...scales.parts(),
      }
      return { codec: 'e8', params, shape: [rows, cols], parts }
    },
  }
}

function decodeRows(e: Stored<typeof e8Layout>, from: number, to: number): Matrix {
  const { params, parts } = e
  const cols = e.shape[1]
  const vectors = Math.ceil(cols / DIM)
  const codes = parts.codes.data as Uint16Array
  const residual = parts.residual?.data as Uint16Array | undefined
  const scales = readWholeScales(e, params.scale, from, to)
  const row = new Float32Array(vectors * DIM)
  const out = zeroMatrix(to - from, cols)
  for (let r = from; r < to; r++) {
    const scale = scales[params.scale === 'row' ? r - from : 0]
    for (let v = 0; v < vectors; v++) {
      const at = r * vectors + v
      decodeVector(codes[at], residual?.[at] ?? 0, scale, params.bits, row, v * DIM)
    }
    out.data.set(row.subarray(0, cols), (r - from) * cols)
  }
  return out
}

function decodeVector(
  code: number,
  residual: number,
  scale: number,
  bits: Full['bits'],
  out: Float32Array,
  at: number,
): void {
  decodeE8(code, scale, out, at)
  const step = scale * SPACING[bits].second
  if (bits === 4) decodeE8(residual, step, out, at, true)
  if (bits === 3) {
    const points = oneBit()
    for (let i = 0; i < DIM; i++) out[at + i] += step * points[residual * DIM + i]
  }
}

let oneBitPoints: Float32Array | undefined
const oneBit = (): Float32Array => (oneBitPoints ??= shortE8())
