import { beamSearch } from '@reallm/kernels'
import {
  type ColumnEncoder,
  type EncodeContext,
  f16ToF32,
  f32ToF16,
  type GivenOf,
  type Matrix,
  type ParamsOf,
  type Stored,
  tensor,
  zeroMatrix,
} from '@reallm/tensor-io'
import { additiveLayout, packRows, readAdditive } from '@reallm/tensor-io/layouts'
import { columnCodec, encodeColumns, tileCounter } from '../shared/column-codec.ts'
import { deviations } from '../shared/deviations.ts'
import { createScales } from '../shared/scales.ts'
import { importanceOf, normalise, vectorsOf } from '../shared/vectors.ts'
import { fitCodebooks } from './fit-codebooks.ts'
import { type AdditiveCode, refine } from './refine.ts'
import { sumsOf } from './sums.ts'

/** Parameters of the codec `additive`. */
export type AdditiveParams = GivenOf<typeof additiveLayout>
type Full = ParamsOf<typeof additiveLayout>

/**
 * Additive codebooks (AQLM, arXiv 2401.06118): `dim` neighbouring weights of a row are the row's scale times a sum of M
 * codewords, one from each codebook. Without H codes are found vector by vector; with H, `encode` refines codes, codebooks and
 * scales together under it. With error feedback (`columns`) the codebooks are fitted once and stay fixed.
 *
 * Codebooks cost 16·M·2^B·dim bits: on small matrices choose B accordingly.
 *
 * @example
 * const stored = await additive.encode(w, { codebooks: 2, codebookBits: 8 }, { seed: 1, hessian }) // 2 bits and codebooks
 */
export const additive = columnCodec({
  layout: additiveLayout,
  columns: async (w, params, ctx) => (await createEncoder(w, params, ctx)).encoder,
  async encode(w, params, ctx) {
    const { encoder, code } = await createEncoder(w, params, ctx)
    const plain = await encodeColumns(encoder, w, ctx)
    if (!ctx.hessian || params.refine === 0) return plain
    await refine(w, code, ctx.hessian, { rounds: params.refine, beam: params.beam }, ctx)
    return encoder.finish()
  },
  decodeRows,
})

async function createEncoder(
  w: Matrix,
  params: Full,
  ctx: EncodeContext,
): Promise<{ encoder: ColumnEncoder; code: AdditiveCode }> {
  const { rows, cols } = w
  const { dim, codebooks: count, beam } = params
  const size = 2 ** params.codebookBits
  const scales = createScales('f16', deviations(w, 'row'), rows).values
  const importance = importanceOf(w, scales, cols, ctx.hessian)
  const vectors = vectorsOf(normalise(w, scales, cols), dim)
  const books = await fitCodebooks(vectors, vectorsOf(importance, dim).data, params, ctx)
  books.vectors.data.set(f16ToF32(f32ToF16(books.vectors.data)))
  const perRow = Math.ceil(cols / dim) * count
  const code: AdditiveCode = { codes: new Uint16Array(rows * perRow), books, scales }
  const tiles = tileCounter('additive', [rows, cols])
  let search: ReturnType<typeof beamSearch> | undefined

  const encoder: ColumnEncoder = {
    tileCols: dim,
    tileRows: 1,
    groupCols: dim,
    quantise(block, row, col) {
      tiles.add(block, row, col)
      const blockScales = scales.subarray(row, row + block.rows)
      search ??= beamSearch(books, beam)
      const found = search(vectorsOf(normalise(block, blockScales, block.cols), dim))
      const sums = sumsOf(found, books).data
      const out = zeroMatrix(block.rows, block.cols)
      for (let r = 0; r < block.rows; r++) {
        code.codes.set(found.subarray(r * count, (r + 1) * count), (row + r) * perRow + (col / dim) * count)
        for (let j = 0; j < block.cols; j++) out.data[r * block.cols + j] = blockScales[r] * sums[r * dim + j]
      }
      return out
    },
    finish() {
      tiles.finish()
      const parts = {
        codes: packRows(code.codes, rows, params.codebookBits),
        codebooks: tensor('F16', [count, size, dim], f32ToF16(books.vectors.data)),
        scales: tensor('F16', [rows, 1], f32ToF16(scales)),
      }
      return { codec: 'additive', params, shape: [rows, cols], parts }
    },
  }
  return { encoder, code }
}

function decodeRows(e: Stored<typeof additiveLayout>, from: number, to: number): Matrix {
  const { codes, books, scales } = readAdditive(e, from, to)
  const cols = e.shape[1]
  const perRow = codes.length / (to - from)
  const out = zeroMatrix(to - from, cols)
  for (let r = 0; r < out.rows; r++) {
    const sums = sumsOf(codes.subarray(r * perRow, (r + 1) * perRow), books).data
    for (let c = 0; c < cols; c++) out.data[r * cols + c] = scales[r] * sums[c]
  }
  return out
}
