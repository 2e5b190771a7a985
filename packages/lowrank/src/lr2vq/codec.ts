import { matmul, nearestCentroid } from '@reallm/kernels'
import {
  type ColumnCodec,
  type ColumnEncoder,
  defineCodec,
  type EncodeContext,
  f16ToF32,
  f32ToF16,
  type GivenOf,
  type Matrix,
  type ParamsOf,
  packBits,
  parseParams,
  ReallmError,
  type Stored,
  tensor,
  throwIfAborted,
  tileOf,
  zeroMatrix,
} from '@reallm/tensor-io'
import { lr2vqLayout, readLr2vq } from '@reallm/tensor-io/layouts'
import { projectedCodebook } from './lr2vq.ts'

const NAME = lr2vqLayout.codec

/** Parameters of the codec `lr2vq`. */
export type Lr2vqParams = GivenOf<typeof lr2vqLayout>
type Full = ParamsOf<typeof lr2vqLayout>

/** Sample that codebook and projection are fitted to: vectors per codeword, and the least in all. */
const SAMPLE = 64
const SMALLEST_SAMPLE = 16384

/**
 * LR²VQ (arXiv 2211.11397): codewords of d̃ dimensions, decoded to d weights by a projection learned per matrix, times a
 * scale per row. In the paper's terms, D_φ is linear. Takes column blocks, so that it can be used with error feedback.
 *
 * @example
 * const stored = await lr2vq.encode(w, { codeBits: 12, vector: 6, dim: 4 }, { seed: 1 })
 */
export const lr2vq: ColumnCodec<Lr2vqParams> = {
  ...defineCodec({
    layout: lr2vqLayout,
    async encode(w, p, ctx) {
      const encoder = columnEncoder(w, p, ctx)
      for (let col = 0; col < w.cols; col += p.vector) {
        throwIfAborted(ctx.signal)
        encoder.quantise(tileOf(w, 0, col, w.rows, p.vector), 0, col)
      }
      return { parts: encoder.finish().parts }
    },
    decode: e => decodeRows(e, 0, e.shape[0]),
    decodeRows: (e, _, from, to) => decodeRows(e, from, to),
  }),
  async columns(w, given, ctx) {
    const p = parseParams(lr2vqLayout, given)
    lr2vqLayout.parts([w.rows, w.cols], p)
    return columnEncoder(w, p, ctx)
  },
}

function columnEncoder(w: Matrix, p: Full, ctx: EncodeContext): ColumnEncoder {
  const { rows, cols } = w
  const perRow = Math.ceil(cols / p.vector)
  const scaleCodes = f32ToF16(rowScales(w))
  const scales = f16ToF32(scaleCodes)
  const size = 2 ** p.codeBits
  const sample = vectors(w, scales, p.vector, Math.max(SMALLEST_SAMPLE, SAMPLE * size))
  const { codebook, projection } = projectedCodebook(sample, { ...p, size, seed: ctx.seed })
  const parts = {
    codebook: tensor('F16', [codebook.rows, p.dim], f32ToF16(codebook.data)),
    projection: tensor('F16', [p.dim, p.vector], f32ToF16(projection.data)),
    scales: tensor('F16', [rows], scaleCodes),
  }
  const stored = (m: Matrix): Matrix => ({ ...m, data: f16ToF32(f32ToF16(m.data)) })
  const table = matmul(stored(codebook), stored(projection))
  const narrow = cols % p.vector
  const lastTable = narrow > 0 ? tileOf(table, 0, 0, table.rows, narrow) : table
  const codes = new Uint32Array(rows * perRow).fill(0xffffffff)

  return {
    tileCols: p.vector,
    tileRows: 1,
    groupCols: p.vector,
    quantise(block, row, col) {
      const words = block.cols === p.vector ? table : lastTable
      const chosen = nearestCentroid(unscaled(block, scales, row), words)
      const out = zeroMatrix(block.rows, block.cols)
      for (let r = 0; r < block.rows; r++) {
        codes[(row + r) * perRow + col / p.vector] = chosen[r]
        const from = chosen[r] * block.cols
        for (let j = 0; j < block.cols; j++)
          out.data[r * block.cols + j] = scales[row + r] * words.data[from + j]
      }
      return out
    },
    finish() {
      if (codes.includes(0xffffffff)) {
        throw new ReallmError('bad-option', `${NAME} [${rows}×${cols}]: not every tile was quantised`)
      }
      const packed = packBits(codes, p.codeBits)
      return {
        codec: NAME,
        params: p,
        shape: [rows, cols],
        parts: { codes: tensor('U8', [packed.length], packed), ...parts },
      }
    },
  }
}

function decodeRows(e: Stored<typeof lr2vqLayout>, from: number, to: number): Matrix {
  const [, cols] = e.shape
  const { vector } = e.params
  const perRow = Math.ceil(cols / vector)
  const { codes, scales, codebook, projection } = readLr2vq(e, from, to)
  const table = matmul(codebook, projection)
  const w = zeroMatrix(to - from, cols)
  for (let r = 0; r < w.rows; r++) {
    for (let j = 0; j < cols; j++) {
      const code = codes[r * perRow + Math.floor(j / vector)]
      w.data[r * cols + j] = scales[r] * table.data[code * vector + (j % vector)]
    }
  }
  return w
}

/** Root mean square of each row; 1 for a row of zeros. */
function rowScales({ rows, cols, data }: Matrix): Float32Array {
  return Float32Array.from({ length: rows }, (_, r) => {
    let sum = 0
    for (let j = 0; j < cols; j++) sum += data[r * cols + j] ** 2
    return Math.sqrt(sum / cols) || 1
  })
}

function unscaled(block: Matrix, scales: Float32Array, row: number): Matrix {
  return { ...block, data: block.data.map((v, i) => v / scales[row + Math.floor(i / block.cols)]) }
}

/** At most `most` whole vectors, evenly over all rows, `[n, d]`, divided by their row's scale. */
function vectors(w: Matrix, scales: Float32Array, d: number, most: number): Matrix {
  const perRow = Math.max(1, Math.floor(w.cols / d))
  const all = w.rows * perRow
  const out = zeroMatrix(Math.min(all, most), d)
  for (let i = 0; i < out.rows; i++) {
    const at = Math.floor(((i + 0.5) * all) / out.rows)
    const [row, col] = [Math.floor(at / perRow), (at % perRow) * d]
    for (let j = 0; j < Math.min(d, w.cols - col); j++) {
      out.data[i * d + j] = w.data[row * w.cols + col + j] / scales[row]
    }
  }
  return out
}
