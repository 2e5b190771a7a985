/** Steps of the kernels of vectors; each is followed in its arguments by what it lists, in order. */
export const VectorOp = {
  end: 0,
  /** `v = scale · W[id]`: `scale`, then the place of the embedding, see `embedding.ts`. */
  embed: 1,
  /** Sums of chunks of a product: `n, at, tokenStep, chunks, chunkStep`. */
  product: 2,
  /** Activations: `n, at`. */
  load: 3,
  /** Partial results of attention, put together: `heads, headDim, at`. */
  attended: 4,
  /** Times factors: `n, factors`. */
  scale: 5,
  /** Signs, then the transform of that width: `n, signs, matrices`. */
  rotateInput: 6,
  /** The transform, then signs: `n, signs, matrices`. */
  rotateOutput: 7,
  /** `n, bias` */
  bias: 8,
  /** `z = L₂ v`, kept in `x`: `n, rank, factor, at`. */
  lowRankInput: 9,
  /** `v += L₁ z`: `n, rank, factor, at`. */
  lowRankOutput: 10,
  /** RMS norm of every `width` values: `n, width, weight, eps`. */
  norm: 11,
  /** `v = activations + factor · v`: `n, at, factor`. */
  residual: 12,
  /** To activations: `n, at`. */
  store: 13,
  /** To inputs of products, zeros after them: `n, padded, at, tokenStep`. */
  input: 14,
  /** `u = v`: `n`. */
  keep: 15,
  /** `v = activation(u) · v`: `n, activation` (0 SiLU, 1 GELU by tanh, 2 GELU, 3 the sigmoid alone). */
  gate: 16,
  /** Rotary embedding: `n, headDim, pairs, interleaved, cos, sin`. */
  rope: 17,
  /** To the cache of keys (0) or values (1): `n, which`. */
  cache: 18,
  /** `v` from a value on: `n, first`. */
  slice: 19,
  /** Of pairs of heads the first (0) or the second (1): `n, headDim, which`. */
  pick: 20,
} as const
/** The names of the kernels on vectors. */
export type VectorOpName = keyof typeof VectorOp

/** Arguments of each step, what follows `embed` left out. */
export const vectorArguments: Readonly<Record<VectorOpName, number>> = {
  ...{
    end: 0,
    embed: 1,
    product: 5,
    load: 2,
    attended: 3,
    scale: 2,
    rotateInput: 3,
    rotateOutput: 3,
    bias: 2,
  },
  ...{
    lowRankInput: 4,
    lowRankOutput: 4,
    norm: 4,
    residual: 3,
    store: 2,
    input: 4,
    keep: 1,
    gate: 2,
    rope: 6,
  },
  ...{ cache: 2, slice: 2, pick: 3 },
}
