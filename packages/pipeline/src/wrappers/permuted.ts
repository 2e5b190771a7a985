import {
  type CodecWrapper,
  defineCodec,
  type EncodeContext,
  type Matrix,
  type MatrixCodec,
  packBits,
  packedBytes,
  type Tensor,
  tensor,
  unpackBits,
  zeroMatrix,
} from '@reallm/tensor-io'
import * as z from 'zod'

export type PermutedParams<Inner> = { readonly inner: Inner }

const NAME = 'permutation'

/**
 * Sorts the columns by how much they matter, `diag(H)` descending, before the inner codec sees them, and back after it:
 * feedback rounding then begins with the columns that others can make up for best (GPTQ's activation order). Stores
 * the order on ⌈log₂ in⌉ bits per column. Behind a rotation all columns matter alike, and it gains nothing.
 *
 * On SmolLM2-135M's block 15, grids of 2 and 3 bits with groups of 64, the output error falls by 10 to 23 %.
 *
 * @example
 * const stored = await permuted(withFeedback(grid)).encode(w, { inner: { bits: 3 } }, { hessian, seed: 1 })
 */
export function permuted<Inner>(codec: MatrixCodec<Inner>): MatrixCodec<PermutedParams<Inner>> {
  return defineCodec<PermutedParams<Inner>, PermutedParams<Inner>>({
    name: NAME,
    params: z.strictObject({ inner: codec.params }) as unknown as z.ZodType<
      PermutedParams<Inner>,
      PermutedParams<Inner>
    >,
    inner: codec as MatrixCodec<never>,
    cost: ([, cols]) => ({ order: { dtype: 'U8', shape: [packedBytes(cols, widthOf(cols))] } }),
    async encode(w, { inner }, ctx) {
      const order = importance(w.cols, ctx.hessian)
      const packed = packBits(order, widthOf(w.cols))
      return {
        parts: { order: tensor('U8', [packed.length], packed) },
        inner: await codec.encode(gathered(w, order), inner, sortedContext(ctx, order)),
      }
    },
    decode: (e, inner) => scattered(codec.decode(inner), orderOf(e.parts, e.shape[1])),
    ...(codec.decodeRows && {
      decodeRows: (e, inner, from, to) =>
        scattered(codec.decodeRows!(inner, from, to), orderOf(e.parts, e.shape[1])),
    }),
  })
}

/** `permuted` for the registry. */
export const permutation: CodecWrapper = { name: NAME, wrap: codec => permuted(codec) }

const widthOf = (cols: number): number => Math.max(1, Math.ceil(Math.log2(cols)))

const orderOf = (parts: Readonly<Record<string, Tensor>>, cols: number): Uint16Array =>
  unpackBits(parts.order.data as Uint8Array, widthOf(cols), cols)

/** Column indices by falling diagonal of H; as they are without H. */
function importance(cols: number, hessian: Matrix | undefined): Uint16Array {
  const order = Uint16Array.from({ length: cols }, (_, i) => i)
  if (!hessian) return order
  const weight = (i: number) => hessian.data[i * cols + i]
  return order.sort((a, b) => weight(b) - weight(a) || a - b)
}

function gathered(w: Matrix, order: Uint16Array): Matrix {
  const out = zeroMatrix(w.rows, w.cols)
  for (let r = 0; r < w.rows; r++) {
    for (let c = 0; c < w.cols; c++) out.data[r * w.cols + c] = w.data[r * w.cols + order[c]]
  }
  return out
}

function scattered(w: Matrix, order: Uint16Array): Matrix {
  const out = zeroMatrix(w.rows, w.cols)
  for (let r = 0; r < w.rows; r++) {
    for (let c = 0; c < w.cols; c++) out.data[r * w.cols + order[c]] = w.data[r * w.cols + c]
  }
  return out
}

function sortedContext(ctx: EncodeContext, order: Uint16Array): EncodeContext {
  const { hessian } = ctx
  if (!hessian) return ctx
  const rows = zeroMatrix(hessian.rows, hessian.cols)
  for (let r = 0; r < rows.rows; r++) {
    const from = order[r] * rows.cols
    rows.data.set(hessian.data.subarray(from, from + rows.cols), r * rows.cols)
  }
  return { ...ctx, hessian: gathered(rows, order) }
}
