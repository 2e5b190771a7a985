import { matmul } from '@reallm/kernels'
import {
  type CodecWrapper,
  defineCodec,
  type EncodedMatrix,
  type Matrix,
  type MatrixCodec,
  packBits,
  packedBytes,
  tensor,
  unpackBits,
  zeroMatrix,
} from '@reallm/tensor-io'
import * as z from 'zod'
import { tileOf } from '../shared/tiles.ts'

export interface PermutationOptions {
  /** Sort columns by the diagonal of H, or by similarity in every 64 rows anew; `importance` by default. */
  readonly by?: 'importance' | 'similarity'
}

export type PermutedParams<Inner> = PermutationOptions & { readonly inner: Inner }

type Full<Inner> = Required<PermutationOptions> & { inner: Inner }

const NAME = 'permutation'

/** Rows that share one order by similarity (ReALLM, arXiv 2405.13155 §3.2). */
const BLOCK_ROWS = 64

/**
 * Sorts the columns before the inner codec and restores their order after it. `options` become the parameters' defaults.
 *
 * - `importance`: `diag(H)` descending, so that error feedback begins with the columns of largest error (GPTQ's activation
 *   order). Stores ⌈log₂ in⌉ bits per column. Useless after a rotation, which makes all columns equally important.
 * - `similarity` (ReALLM, arXiv 2405.13155 §3.2): in every block of 64 rows each column is followed by the nearest one left,
 *   so that a code of patches sees smooth ones. Stores ⌈log₂ in⌉ / 64 bits per weight. H is not passed to the inner codec,
 *   because each block would need another one.
 *
 * @example
 * const stored = await permuted(withFeedback(grid)).encode(w, { inner: { bits: 3 } }, { hessian, seed: 1 })
 */
export function permuted<Inner>(
  codec: MatrixCodec<Inner>,
  options: PermutationOptions = {},
): MatrixCodec<PermutedParams<Inner>> {
  const params = z.strictObject({
    by: z
      .enum(['importance', 'similarity'])
      .default(options.by ?? 'importance')
      .describe('what columns are sorted by'),
    inner: codec.params,
  })
  return defineCodec<PermutedParams<Inner>, Full<Inner>>({
    name: NAME,
    params: params as unknown as z.ZodType<Full<Inner>, PermutedParams<Inner>>,
    inner: codec as MatrixCodec<never>,
    cost: ([rows, cols], { by }) => {
      const orders = by === 'similarity' ? Math.ceil(rows / BLOCK_ROWS) : 1
      return { order: { dtype: 'U8', shape: [packedBytes(orders * cols, widthOf(cols))] } }
    },
    async encode(w, { by, inner }, { hessian, ...ctx }) {
      const order = by === 'similarity' ? similarity(w) : importance(w.cols, hessian)
      const packed = packBits(order, widthOf(w.cols))
      const known = by === 'importance' && hessian ? { hessian: sorted(hessian, order) } : {}
      return {
        parts: { order: tensor('U8', [packed.length], packed) },
        inner: await codec.encode(gathered(w, order), inner, { ...ctx, ...known }),
      }
    },
    decode: (e, inner) => scattered(codec.decode(inner), orderOf(e)),
    ...(codec.decodeRows && {
      decodeRows: (e, inner, from, to) => scattered(codec.decodeRows!(inner, from, to), orderOf(e), from),
    }),
  })
}

/** `permuted` for the registry: decodes what any of them stored. */
export const permutation: CodecWrapper = { name: NAME, wrap: codec => permuted(codec) }

const widthOf = (cols: number): number => Math.max(1, Math.ceil(Math.log2(cols)))

/** `[orders, cols]`: one order for all rows, or one for each block of rows. */
function orderOf({ parts, shape: [rows, cols], params }: EncodedMatrix<PermutationOptions>): Uint16Array {
  const orders = params.by === 'similarity' ? Math.ceil(rows / BLOCK_ROWS) : 1
  return unpackBits(parts.order.data as Uint8Array, widthOf(cols), orders * cols)
}

/** Column indices by falling diagonal of H; in their own order without H. */
function importance(cols: number, hessian: Matrix | undefined): Uint16Array {
  const order = Uint16Array.from({ length: cols }, (_, i) => i)
  if (!hessian) return order
  const weight = (i: number) => hessian.data[i * cols + i]
  return order.sort((a, b) => weight(b) - weight(a) || a - b)
}

/** For each block of rows a greedy walk: from the column of largest norm to the nearest one left, until none is. */
function similarity(w: Matrix): Uint16Array {
  const { rows, cols } = w
  const orders = new Uint16Array(Math.ceil(rows / BLOCK_ROWS) * cols)
  for (let from = 0, at = 0; from < rows; from += BLOCK_ROWS, at += cols) {
    const block = tileOf(w, from, 0, BLOCK_ROWS, cols)
    const { data: products } = matmul(block, block, { transposeA: true })
    const norm = Float32Array.from({ length: cols }, (_, c) => products[c * (cols + 1)])
    const left = Array.from(norm.keys())
    let place = norm.indexOf(Math.max(...norm))
    for (let i = 0; i < cols; i++) {
      const here = left[place]
      orders[at + i] = here
      left[place] = left[left.length - 1]
      left.pop()
      let least = Number.POSITIVE_INFINITY
      for (let k = 0; k < left.length; k++) {
        const distance = norm[left[k]] - 2 * products[here * cols + left[k]]
        if (distance < least) {
          least = distance
          place = k
        }
      }
    }
  }
  return orders
}

/** Where the order of a row begins in `order`. */
const startOf = (order: Uint16Array, row: number, cols: number): number =>
  order.length === cols ? 0 : Math.floor(row / BLOCK_ROWS) * cols

function gathered(w: Matrix, order: Uint16Array): Matrix {
  const out = zeroMatrix(w.rows, w.cols)
  for (let r = 0; r < w.rows; r++) {
    const start = startOf(order, r, w.cols)
    for (let c = 0; c < w.cols; c++) out.data[r * w.cols + c] = w.data[r * w.cols + order[start + c]]
  }
  return out
}

/** Inverse of `gathered`, for rows from number `from` on. */
function scattered(w: Matrix, order: Uint16Array, from = 0): Matrix {
  const out = zeroMatrix(w.rows, w.cols)
  for (let r = 0; r < w.rows; r++) {
    const start = startOf(order, from + r, w.cols)
    for (let c = 0; c < w.cols; c++) out.data[r * w.cols + order[start + c]] = w.data[r * w.cols + c]
  }
  return out
}

/** Rows and columns of H in the same order. */
function sorted(hessian: Matrix, order: Uint16Array): Matrix {
  const rows = zeroMatrix(hessian.rows, hessian.cols)
  for (let r = 0; r < rows.rows; r++) {
    const from = order[r] * rows.cols
    rows.data.set(hessian.data.subarray(from, from + rows.cols), r * rows.cols)
  }
  return gathered(rows, order)
}
