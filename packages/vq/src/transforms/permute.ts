import { matmul } from '@reallm/kernels'
import {
  type CodecWrapper,
  defineCodec,
  type GivenOf,
  type Matrix,
  type MatrixCodec,
  packBits,
  tensor,
  tileOf,
  withDefaults,
  zeroMatrix,
} from '@reallm/tensor-io'
import { columnBits, ORDER_ROWS, permutationLayout, readOrder } from '@reallm/tensor-io/layouts'

/** Options of `permuted`. */
export type PermutationOptions = GivenOf<typeof permutationLayout>
/** Parameters of a permuted codec. */
export type PermutedParams<Inner> = PermutationOptions & { readonly inner: Inner }

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
  const layout = withDefaults(permutationLayout, options)
  return defineCodec({
    layout,
    inner: codec,
    async encode(w, { by, inner }, { hessian, ...ctx }) {
      const order = by === 'similarity' ? similarity(w) : importance(w.cols, hessian)
      const packed = packBits(order, columnBits(w.cols))
      const known = by === 'importance' && hessian ? { hessian: sorted(hessian, order) } : {}
      return {
        parts: { order: tensor('U8', [packed.length], packed) },
        inner: await codec.encode(gathered(w, order), inner, { ...ctx, ...known }),
      }
    },
    decode: (e, inner) => scattered(codec.decode(inner), readOrder(e)),
    decodeRows(e, inner, from, to) {
      const rows = codec.decodeRows?.(inner, from, to)
      return rows && scattered(rows, readOrder(e), from)
    },
  })
}

/** `permuted` for the registry: decodes what any of them stored. */
export const permutation: CodecWrapper = { layout: permutationLayout, wrap: codec => permuted(codec) }

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
  const orders = new Uint16Array(Math.ceil(rows / ORDER_ROWS) * cols)
  for (let from = 0, at = 0; from < rows; from += ORDER_ROWS, at += cols) {
    const block = tileOf(w, from, 0, ORDER_ROWS, cols)
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
  order.length === cols ? 0 : Math.floor(row / ORDER_ROWS) * cols

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
