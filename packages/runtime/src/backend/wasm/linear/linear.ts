import type { Pointer } from '@reallm/kernels/inference'
import type { Activations } from '../engine.ts'

/** A matrix `W` `[rows, cols]` in whatever form it is held, applied to activations. */
export interface Linear {
  readonly rows: number
  readonly cols: number
  /** What it occupies in memory. */
  readonly bytes: number
  /** MACs for a token; of a butterfly, the additions. */
  readonly multiplyAdds: number
  /** `y = x Wᵀ`, or `y += x Wᵀ`, for the first `tokens` of `x`; `ldy` floats lie between tokens of `y`. */
  apply(x: Activations, y: Pointer, ldy: number, tokens: number, accumulate: boolean): void
  /** Row `index` times `factor`: how embeddings are looked up. */
  row(index: number, out: Pointer, factor: number): void
  dispose(): void
}

/** Takes a matrix from top to bottom, a few rows at a time, so that it never lies in memory as floats. */
export interface LinearWriter {
  /** `[n, cols]` floats: the next n rows, at an address of the engine's memory. */
  write(rows: Pointer, count: number): void
  finish(): Linear
}
