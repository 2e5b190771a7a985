/** A byte address in the memory of an `Inference`; all are multiples of 16. */
export type Pointer = number

/**
 * Operations on weights and activations that stay in one memory. Activations are float32 `[tokens, width]`, widths
 * multiples of 4. Blocked weights: see `int8Bytes` and `floatBytes`. Implemented in WebAssembly
 * (`assembly/inference`) and in plain TypeScript (`reference/inference.ts`).
 */
export interface InferenceKernels {
  /**
   * `y[t, r] (+)= scale_x[t] · Σ_g scale_w[r, g] · Σ_{c in g} w[r, c] · x[t, c]`: weights of 1 or 2 `bytes` (±127 or
   * ±4095) with a scale per row and `group` columns (at most 2048 or 64), 16-bit activations of `stride` values per
   * token; `ldy` floats between tokens of `y`.
   */
  matmulInteger(
    w: Pointer,
    scales: Pointer,
    x: Pointer,
    xScales: Pointer,
    y: Pointer,
    rows: number,
    stride: number,
    group: number,
    tokens: number,
    ldy: number,
    accumulate: number,
    bytes: number,
  ): void
  /** `y[t, r] (+)= factor · Σ_c w[r, c] · x[t, c]` with float weights of `stride` columns. */
  matmulFloat(
    w: Pointer,
    x: Pointer,
    ldx: number,
    y: Pointer,
    ldy: number,
    rows: number,
    stride: number,
    tokens: number,
    accumulate: number,
    factor: number,
  ): void
  /** `[tokens, cols]` floats to 16 bits and a scale per token; columns up to `stride` are zeroed. */
  quantiseActivations(
    x: Pointer,
    ldx: number,
    out: Pointer,
    scales: Pointer,
    tokens: number,
    cols: number,
    stride: number,
  ): void
  /** `[rows, cols]` floats to rows `firstRow …` of blocked weights of 1 or 2 `bytes`. */
  quantiseWeights(
    x: Pointer,
    out: Pointer,
    scales: Pointer,
    rows: number,
    cols: number,
    stride: number,
    group: number,
    firstRow: number,
    bytes: number,
  ): void
  /** `[rows, cols]` floats to rows `firstRow …` of blocked float weights. */
  packFloats(x: Pointer, w: Pointer, rows: number, cols: number, stride: number, firstRow: number): void
  /** One row of integer weights as floats, times `factor`. */
  integerRow(
    w: Pointer,
    scales: Pointer,
    row: number,
    out: Pointer,
    cols: number,
    stride: number,
    group: number,
    factor: number,
    bytes: number,
  ): void
  /** One row of float weights, times `factor`. */
  floatRow(w: Pointer, row: number, out: Pointer, cols: number, stride: number, factor: number): void
  /** `out = x / √(mean x² + eps) · w` per row. */
  rmsNorm(x: Pointer, w: Pointer, out: Pointer, rows: number, width: number, eps: number): void
  /** `gates = f(gates) · up`; kind 0 is SiLU, 1 GELU in its tanh form, 2 GELU. */
  gate(gates: Pointer, up: Pointer, count: number, kind: number): void
  /**
   * Rotary positions on pairs `(i, i + pairs)` of each head, or, `interleaved`, `(2i, 2i + 1)`; what comes after them stays.
   * `cos` and `sin` are `[tokens, pairs]`.
   */
  rope(
    x: Pointer,
    cos: Pointer,
    sin: Pointer,
    tokens: number,
    heads: number,
    headDim: number,
    pairs: number,
    interleaved: number,
  ): void
  /**
   * Causal attention of `tokens` queries, the first at `position`, over caches `[positions, kvHeads, headDim]`.
   * `window` is how many positions a token sees, itself included (0: all); `softcap` squashes the scores (0: not); each
   * thread has `scoresStride` floats for each of two tokens. `sinks` are a score of each head that takes its share and gives nothing (0: none).
   */
  attention(
    q: Pointer,
    keys: Pointer,
    values: Pointer,
    out: Pointer,
    tokens: number,
    heads: number,
    kvHeads: number,
    headDim: number,
    position: number,
    window: number,
    scale: number,
    softcap: number,
    scores: Pointer,
    scoresStride: number,
    sinks: Pointer,
  ): void
  /**
   * Appends keys and values `[tokens, kvHeads, headDim]` with 8 bits each, a scale for each position and head, to pages (see
   * `kv-pages.ts`); `pages` are the addresses (u32) of those from position 0 on.
   */
  appendToPages(
    keys: Pointer,
    values: Pointer,
    pages: Pointer,
    tokens: number,
    kvHeads: number,
    headDim: number,
    position: number,
  ): void
  /** Bytes of scratch that `pagedAttention` needs for each thread. */
  pagedScratch(headDim: number): number
  /** `attention` over pages; queries, and the weights of values, have 16 bits. */
  pagedAttention(
    q: Pointer,
    pages: Pointer,
    out: Pointer,
    tokens: number,
    heads: number,
    kvHeads: number,
    headDim: number,
    position: number,
    window: number,
    scale: number,
    softcap: number,
    scratch: Pointer,
  ): void
  /**
   * A matrix `S` `[keyDim, valueDim]` for each head, kept in `matrices`: at each token `S ← left · S; S ← S + k uᵀ; y = Sᵀ q`,
   * where `u` is `write · v`, or, `isDelta`, `write · (v − Sᵀ k)`. `left` and `write` are `[tokens, heads]`; values, keys and
   * queries lie `valueAt`, `keyAt` and `queryAt` floats behind the start of a token of `x`, which has `ldx`; `shared` heads
   * have one key and query. `y` is `[tokens, heads, valueDim]`.
   */
  recurrence(
    x: Pointer,
    ldx: number,
    valueAt: number,
    keyAt: number,
    queryAt: number,
    matrices: Pointer,
    left: Pointer,
    write: Pointer,
    y: Pointer,
    tokens: number,
    heads: number,
    shared: number,
    keyDim: number,
    valueDim: number,
    isDelta: number,
  ): void
  /** `y = x`. */
  copy(y: Pointer, x: Pointer, count: number): void
  /** `y += x`. */
  addInPlace(y: Pointer, x: Pointer, count: number): void
  /** `y += factor · x`. */
  addScaled(y: Pointer, x: Pointer, count: number, factor: number): void
  /** Adds `bias` to each of `rows` rows. */
  addBias(x: Pointer, bias: Pointer, rows: number, width: number): void
  /** `y (+)= x · w` for each of `rows` rows of `width` floats; `ldy` floats lie between rows of `y`, which may be `x`. */
  multiplyRows(
    x: Pointer,
    w: Pointer,
    y: Pointer,
    ldy: number,
    rows: number,
    width: number,
    accumulate: number,
  ): void
  /** Signed bytes `[rows, cols]` to rows `firstRow …` of blocked one-byte weights. */
  packBytes(x: Pointer, w: Pointer, rows: number, cols: number, stride: number, firstRow: number): void
  /**
   * Rotates rows of `width` floats by signs and a Kronecker transform T: `y = T (x · signs)` (`isInput`), or
   * `y (+)= signs · T x`, which changes `x`. `factors` has three words for each of `count` factors: order, inner (a row seen as
   * `[outer, order, inner]`), address of a matrix `[order, order]`, or 0 for Sylvester's, whose inner is 1. Entries of ±1 are
   * not scaled: `signs` bring that. A matrix of order 12 is Paley's. `scratchBytes` are 32 · the largest order, for each thread.
   */
  rotate(
    x: Pointer,
    y: Pointer,
    ldy: number,
    rows: number,
    width: number,
    signs: Pointer,
    isInput: number,
    accumulate: number,
    factors: Pointer,
    count: number,
    scratch: Pointer,
    scratchBytes: number,
  ): void
  /**
   * `y (+)= W x` straight from codes of `bits` bits (`codeBytes` per row) for vectors of `dim` columns:
   * `W = scale[r, g] · (table[code, i] − shift[r, g])`; `shifts` 0 for none; `panel` has 16·cols floats per thread.
   */
  matmulCodes(
    x: Pointer,
    ldx: number,
    y: Pointer,
    ldy: number,
    tokens: number,
    rows: number,
    cols: number,
    accumulate: number,
    panel: Pointer,
    codes: Pointer,
    codeBytes: number,
    bits: number,
    dim: number,
    table: Pointer,
    scales: Pointer,
    shifts: Pointer,
    group: number,
  ): void
  /**
   * A trellis code (`decode/trellis-stream.ts`) as blocked one-byte weights of `cols` columns, a multiple of 16. `rates` are those of
   * each column of tiles, `tables` the addresses (u32) of two tables for each rate from 0 on: pairs, or the values of the states and 0;
   * `scratch` has `EXPAND_SCRATCH` bytes per thread.
   */
  expandTrellis(
    codes: Pointer,
    rows: number,
    cols: number,
    rowBytes: number,
    rates: Pointer,
    tables: Pointer,
    stateBits: number,
    w: Pointer,
    scratch: Pointer,
  ): void
}

/** Matrices that neural decoders stand for; in WebAssembly (`assembly/neural`) and in plain TypeScript. */
export interface NeuralKernels {
  /** Bytes of scratch that `nerv` needs for each thread; `decoder` is the header of a `PackedNerv`. */
  nervScratch(decoder: Pointer, side: number): number
  /**
   * A NeRV decoder (`PackedNerv`, header and layers): latents `[count, side, side, channels]` to pixels `[count,
   * side·2^stages, side·2^stages]`, the latter a multiple of 16.
   */
  nerv(
    decoder: Pointer,
    latents: Pointer,
    count: number,
    side: number,
    layers: Pointer,
    out: Pointer,
    scratch: Pointer,
  ): void
}

/** Products with trellis codes as they are stored; in WebAssembly (`assembly/trellis`) and in plain TypeScript. */
export interface TrellisKernels {
  /**
   * `matmulInteger` by the one-byte weights of a trellis code, see `expandTrellis`, to the same bits. `ldx` values lie between tokens of
   * `x`; `scratch` has `scratchBytes` per thread, see `streamScratch`.
   */
  matmulTrellis(
    codes: Pointer,
    scales: Pointer,
    x: Pointer,
    xScales: Pointer,
    y: Pointer,
    rows: number,
    cols: number,
    group: number,
    tokens: number,
    ldx: number,
    ldy: number,
    accumulate: number,
    rowBytes: number,
    rates: Pointer,
    tables: Pointer,
    stateBits: number,
    scratch: Pointer,
    scratchBytes: number,
  ): void
}
