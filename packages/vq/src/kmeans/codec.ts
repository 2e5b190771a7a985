import { nearestCentroid } from '@reallm/kernels'
import {
  type ColumnEncoder,
  type EncodeContext,
  type EncodedMatrix,
  type GivenOf,
  type Matrix,
  type MatrixShape,
  type ParamsOf,
  ReallmError,
  tensor,
  zeroMatrix,
} from '@reallm/tensor-io'
import {
  codeBits,
  columnBits,
  decodeCoded,
  kmeansLayout,
  packRows,
  readKmeans,
  scaleCols,
} from '@reallm/tensor-io/layouts'
import { columnCodec, encodeColumns, tileCounter } from '../shared/column-codec.ts'
import { createScales, type Scales } from '../shared/scales.ts'
import { groupScales, importanceOf, normalise, vectorsOf } from '../shared/vectors.ts'
import { fitCodebook } from './codebook.ts'
import { permuteColumns, similarColumns } from './permutation.ts'

/** Parameters of the codec `kmeans`. */
export type KmeansParams = GivenOf<typeof kmeansLayout>
type Full = ParamsOf<typeof kmeansLayout>

/**
 * Vector quantisation with a codebook per matrix (ReALLM, arXiv 2405.13155 §3.2): groups of `dim` neighbouring weights of a row,
 * divided by their scale, become the index of the nearest of 2^(bits·dim) centroids. k-means weights errors by diag H.
 *
 * With `permute` it cannot be used with error feedback, because vectors are spread over the columns.
 *
 * @example
 * const stored = await kmeans.encode(w, { bits: 2, dim: 4 }, { seed: 1 })
 */
export const kmeans = columnCodec({
  layout: kmeansLayout,
  async columns(w, params, ctx) {
    if (params.permute) {
      throw new ReallmError('unsupported', 'kmeans: permuted columns cannot be encoded block by block', {
        hint: 'use permute: false with error feedback',
      })
    }
    return createEncoder(w, params, ctx)
  },
  encode: async (w, params, ctx) =>
    params.permute ? encodePermuted(w, params, ctx) : encodeColumns(createEncoder(w, params, ctx), w, ctx),
  decodeRows: (e, from, to) => decodeCoded(readKmeans(e, from, to)),
})

/** Scales of all groups; all 1 and not stored for `none`. */
function fitScales(w: Matrix, params: Full): Scales {
  if (params.group === 'none') return createScales('f32', new Float32Array(w.rows).fill(1), w.rows)
  return createScales(params.scales, groupScales(w, scaleCols([w.rows, w.cols], params)), w.rows)
}

function createEncoder(w: Matrix, params: Full, ctx: EncodeContext): ColumnEncoder {
  const { rows, cols } = w
  const { dim } = params
  const group = scaleCols([rows, cols], params)
  const perRow = cols / group
  const scales = fitScales(w, params)
  const importance = importanceOf(w, scales.values, group, ctx.hessian)
  const inputs = Float32Array.from({ length: cols }, (_, c) => ctx.hessian?.data[c * (cols + 1)] ?? 1)
  const { centroids, codes: codebook } = fitCodebook(
    vectorsOf(normalise(w, scales.values, group), dim),
    vectorsOf(importance, dim).data,
    2 ** codeBits(params),
    { seed: ctx.seed, iterations: params.iterations },
  )
  const vectors = Math.ceil(cols / dim)
  const codes = new Uint16Array(rows * vectors)
  const tiles = tileCounter('kmeans', [rows, cols])
  const startGroup = (residual: Matrix, col: number) => {
    const fresh = groupScales(residual, residual.cols)
    for (let r = 0; r < rows; r++) scales.set(r * perRow + col / group, fresh[r])
  }

  return {
    tileCols: dim,
    tileRows: 1,
    groupCols: params.group === 'none' ? dim : group,
    ...(params.group !== 'none' && { startGroup }),
    quantise(block, row, col) {
      tiles.add(block, row, col)
      const blockScales = Float32Array.from(
        { length: block.rows },
        (_, r) => scales.values[(row + r) * perRow + Math.floor(col / group)],
      )
      const diagonal = Float32Array.from({ length: dim }, (_, j) => (j >= block.cols ? 0 : inputs[col + j]))
      const x = vectorsOf(normalise(block, blockScales, block.cols), dim)
      const nearest = nearestCentroid(x, centroids, diagonal)
      const out = zeroMatrix(block.rows, block.cols)
      for (let r = 0; r < block.rows; r++) {
        codes[(row + r) * vectors + col / dim] = nearest[r]
        for (let j = 0; j < block.cols; j++) {
          out.data[r * block.cols + j] = blockScales[r] * centroids.data[nearest[r] * dim + j]
        }
      }
      return out
    },
    finish() {
      tiles.finish()
      return stored([rows, cols], params, codes, codebook, scales)
    },
  }
}

function encodePermuted(w: Matrix, params: Full, ctx: EncodeContext): EncodedMatrix<Full> {
  const shape: MatrixShape = [w.rows, w.cols]
  const group = scaleCols(shape, params)
  const scales = fitScales(w, params)
  const x = normalise(w, scales.values, group)
  const order = similarColumns(x, params.dim)
  const vectors = vectorsOf(permuteColumns(x, order), params.dim)
  const importance = importanceOf(w, scales.values, group, ctx.hessian)
  const weights = vectorsOf(permuteColumns(importance, order), params.dim).data
  const { iterations } = params
  const book = fitCodebook(vectors, weights, 2 ** codeBits(params), { seed: ctx.seed, iterations })
  const codes = Uint16Array.from(nearestCentroid(vectors, book.centroids, weights))
  const { parts, ...header } = stored(shape, params, codes, book.codes, scales)
  const permutation = packRows(order, order.length / w.cols, columnBits(w.cols))
  return { ...header, parts: { ...parts, permutation } }
}

function stored(
  shape: MatrixShape,
  params: Full,
  codes: Uint16Array,
  codebook: Uint16Array<ArrayBuffer>,
  scales: Scales,
): EncodedMatrix<Full> {
  const parts = {
    codes: packRows(codes, shape[0], codeBits(params)),
    codebook: tensor('F16', [codebook.length / params.dim, params.dim], codebook),
    ...(params.group !== 'none' && scales.parts()),
  }
  return { codec: 'kmeans', params, shape, parts }
}
