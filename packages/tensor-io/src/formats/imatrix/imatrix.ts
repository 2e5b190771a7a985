/** What a matrix's inputs are like, of one tensor of GGUF. */
export interface InputSquares {
  /** Mean square of each input: `[matrices, cols]` of a stack of experts', otherwise `[cols]`. */
  readonly meanSquares: Float32Array
  /** Tokens that each matrix has seen, one number for all where they are alike. */
  readonly tokens: readonly number[]
}

/**
 * An importance matrix of llama.cpp: what `llama-imatrix` measures on a text and `llama-quantize --imatrix` reads. Tensors have
 * llama.cpp's names.
 */
export interface Imatrix {
  readonly tensors: ReadonlyMap<string, InputSquares>
  /** Names of the texts. */
  readonly datasets: readonly string[]
  /** Pieces of text, and tokens of each. */
  readonly chunks: number
  readonly chunkSize: number
}
