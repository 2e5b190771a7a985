import type { EncodedMatrix } from '@reallm/tensor-io'

/**
 * How matrices are held: `packed` as they are stored, decoded whenever they are used; `expanded` to one or two bytes per
 * weight (GGUF's blocks to four or eight bits beside their scales), fastest to use and within 1 % of exact logits; `int8` to one byte per weight, coarser; `f32` exactly.
 */
export type WeightForm = 'packed' | 'expanded' | 'int8' | 'f32'

/** A matrix to be held: as it is stored, where the backend `runs` its codec, or as floats that are read a few rows at a time. */
export type WeightSource =
  | { readonly kind: 'stored'; readonly stored: EncodedMatrix }
  | {
      readonly kind: 'floats'
      readonly shape: readonly [rows: number, cols: number]
      /** Rows `from` to `to` (exclusive), `[to − from, cols]`. */
      read(from: number, to: number): Promise<Float32Array>
    }

/** A matrix `W` `[rows, cols]` in whatever form a backend holds it. */
export interface Weight extends Disposable {
  readonly rows: number
  readonly cols: number
  /** What it occupies in the backend's memory. */
  readonly bytes: number
  /** MACs for a token; of a butterfly, the additions. */
  readonly multiplyAdds: number
}

/** Floats that a backend holds: factors of a norm, a bias. */
export interface Vector extends Disposable {
  readonly length: number
}

/** The codecs of a stored matrix, from the outermost wrapper on. */
export interface Described {
  readonly codec: string
  readonly inner?: Described | undefined
}
