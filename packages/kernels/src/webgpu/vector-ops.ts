/** Steps of the kernels of vectors; each is followed in its arguments by what it lists, in order. */
export const VectorOp = {
  end: 0,
  /** `v = scale · W[id − first]`: `scale, first`, then the place of the embedding, see `embedding.ts`. */
  embed: 1,
  /** Sums of chunks of a product: `n, at, tokenStep, chunks, chunkStep`. */
  product: 2,
  /** Activations: `n, at, tokenStep`. */
  load: 3,
  /** Partial results of attention, put together: `heads, headDim, at`, and where the heads' sinks are, 1 more, or 0. */
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
  /** `v = activation(u) · v`: `n, activation` (0 SiLU, 1 GELU by tanh, 2 GELU, 3 the sigmoid alone, 4 none). */
  gate: 16,
  /** Rotary embedding: `n, headDim, pairs, interleaved, cos, sin`. */
  rope: 17,
  /** To the cache of keys (0) or values (1): `n, which`. */
  cache: 18,
  /** `v` from a value on: `n, first`. */
  slice: 19,
  /** Of pairs of heads the first (0) or the second (1): `n, headDim, which`. */
  pick: 20,
  /** `v = factor · (u + v)`: `n, factor`. */
  add: 21,
  /** `v = factor · v`: `n, factor`. */
  times: 22,
  /**
   * Scores of experts become shares in `y`, 0 of those that are not chosen: `n, chosen, at, step, all, shared`, `[n, step]`, a
   * softmax over those chosen or `all`, and after them 1 for the expert that is `shared`.
   */
  route: 23,
  /** The next steps only where a share is not 0: `at, words`, the words of these steps. */
  only: 24,
  /** `u = 0`: `n`. */
  clear: 25,
  /** `u += share · v`: `n, at`. */
  mix: 26,
  /** `v = u`: `n`. */
  recall: 27,
  /** `v = u · σ(alpha · u) · (v + 1)`, u cut off above a limit and v beyond ± that: `n, alpha, limit`. */
  clampedGate: 28,
  /** The next steps only for tokens whose ids are `first` to `first + count`: `first, count, words`, as of `only`. */
  rows: 29,
  /** 1 at the token's id, 0 elsewhere: `n`. */
  unit: 30,
} as const
/** The names of the kernels on vectors. */
export type VectorOpName = keyof typeof VectorOp

/** Arguments of each step, what follows `embed` left out. */
export const vectorArguments: Readonly<Record<VectorOpName, number>> = {
  ...{
    end: 0,
    embed: 2,
    product: 5,
    load: 3,
    attended: 4,
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
  ...{ cache: 2, slice: 2, pick: 3, add: 2, times: 2, rows: 3, unit: 1 },
  ...{ route: 6, only: 2, clear: 1, mix: 2, recall: 1, clampedGate: 3 },
}
