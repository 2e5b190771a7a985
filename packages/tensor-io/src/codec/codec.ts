import type { CheckpointStore } from '../core/checkpoint-store.ts'
import type { LongWork } from '../core/progress.ts'
import type { Matrix, MatrixShape } from '../core/tensor.ts'
import type { EncodedMatrix, StorageCost } from './encoded-matrix.ts'
import type { StoredLayout } from './layout.ts'

/** What an encoder is told besides the matrix: statistics, randomness, how to stop. */
export interface EncodeContext extends LongWork {
  /** `H = XᵀX / tokens`, `[in, in]`: the error to minimise is tr(ΔW H ΔWᵀ). Absent: plain squared error. */
  readonly hessian?: Matrix | undefined
  /** Output-gradient covariance `E[g gᵀ]`, `[out, out]`: the error becomes tr(H_out ΔW H ΔWᵀ). */
  readonly outputHessian?: Matrix | undefined
  /** Set where the diagonal of `hessian` was raised already, as error feedback does before it factorises. */
  readonly isDamped?: boolean | undefined
  /** Called when neither Hessian is read any more, long before encoding ends: what was made for it can then be freed. */
  readonly onHessianRead?: (() => void) | undefined
  readonly seed: number
  /** Set where the matrix is a band of the rows of a larger one: see {@link RowBands}. */
  readonly isBand?: boolean | undefined
  /** Where codecs that train keep their state, by name: a killed encoding resumes from there. */
  readonly checkpoint?: ((name: string) => CheckpointStore) | undefined
}

/** A way to store one matrix: `W ≈ decode(encode(W))`. `D_φ(E) ⊙ S` of the paper, §3.1. */
export interface MatrixCodec<Params = unknown> {
  /** The name of its layout. */
  readonly name: string
  /** How its matrices are stored: parameters, and the tensors that follow from them. */
  readonly layout: StoredLayout
  /** Parameters with the defaults filled in, a wrapped codec's too; throws `bad-option` naming the one at fault. */
  parse(params: unknown): Params
  /** Every tensor that `encode` will store: the exact cost before any work. Throws `bad-option` when the shape does not fit. */
  cost(shape: MatrixShape, params: Params): StorageCost
  encode(w: Matrix, params: Params, ctx: EncodeContext): Promise<EncodedMatrix>
  /** The approximation `[out, in]` of a stored matrix. */
  decode(e: EncodedMatrix): Matrix
  /** Decodes rows `from` to `to` (exclusive) only: how embeddings are looked up. Absent: rows can't be read alone. */
  decodeRows?(e: EncodedMatrix, from: number, to: number): Matrix
  /** How the matrix is encoded in bands of rows. Absent: rows depend on each other. */
  readonly bands?: RowBands<Params>
}

/**
 * Encoding a matrix that is too large to be in memory, band of rows by band of rows: joined, they have the bytes of the matrix that is
 * encoded at once. Every band is encoded with the same seed and Hessian, without `outputHessian`, and with `isBand`.
 */
export interface RowBands<Params = unknown> {
  /** Rows of every band except the last are a multiple of this; undefined where with these parameters rows depend on each other. */
  rows(params: Params): number | undefined
  /** Puts encoded bands together, in their order. */
  join(bands: readonly EncodedMatrix[]): EncodedMatrix
}

/** What a codec learns about the columns that error feedback will give it. */
export interface ColumnContext extends EncodeContext {
  /**
   * Cost of an error in each column after the columns of later blocks have made up for it, `[in]`; blocks have `block` columns.
   * Absent: unknown.
   */
  readonly columnLoss?: ((block: number) => Float32Array) | undefined
  /**
   * Variance of what error feedback hands over in each column, over that of the weights, `[in]`, when the codec's errors have a share
   * `noise` `[in]` of it. Absent: no feedback.
   */
  readonly columnVariance?: ((block: number, noise: Float32Array) => Float64Array) | undefined
}

/** A codec that encodes a matrix one column block after the other, so that it can be used with error feedback. */
export interface ColumnCodec<Params = unknown> extends MatrixCodec<Params> {
  /** Fits codebooks and scales to `w`, then quantises blocks with the values that the caller gives. */
  columns(w: Matrix, params: Params, ctx: ColumnContext): Promise<ColumnEncoder>
}

/**
 * Quantises tiles of `tileRows × tileCols`; columns left to right, and every tile of a column block before the next.
 * Tiles at the right and bottom edges are cut off: the last column block is
 * `cols % tileCols` wide, the last call of a block may end at `rows`, and the last group may be narrower.
 */
export interface ColumnEncoder {
  /** Columns quantised together: 1 for scalar grids, d for vectors, 16 for trellis tiles. */
  readonly tileCols: number
  /** Rows that depend on each other: a call's rows are a multiple of this and start at one. */
  readonly tileRows: number
  /** Columns that share a scale: the residual must be up to date over a whole group when its first column comes. */
  readonly groupCols: number
  /** Columns of several groups that share something besides; the residual must be up to date over all of them. */
  readonly blockCols?: number
  /** Called at each block's first column, before its first group, with the current residual `[rows, blockCols]`. */
  startBlock?(residual: Matrix, col: number): void
  /** Called at each group's first column with the current residual `[rows, groupCols]`, for scales chosen on the way. */
  startGroup?(residual: Matrix, col: number): void
  /**
   * Stores `block` (`[n·tileRows, tileCols]` or cut by an edge, top left at `row`, `col`; `row` is a multiple of
   * `tileRows`, `col` of `tileCols`) and returns what it decodes to. Hand in all rows at once where possible:
   * tiles of one call are independent of each other and quantised as a batch.
   */
  quantise(block: Matrix, row: number, col: number): Matrix
  /** The stored matrix; throws `bad-option` when a tile is missing. */
  finish(): EncodedMatrix
}
