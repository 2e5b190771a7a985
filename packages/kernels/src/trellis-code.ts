/** A bit-shift trellis code: `state' = (state << bits | new bits) mod 2^L`, `value = lut[state]`. */
export interface TrellisCode {
  /** k: bits per weight, 1 to 6 in quarters, at most L − 3 (see `trellis-tiles.ts`); sequences of fractional rates are multiples of 8 long. */
  readonly bits: number
  /** Value of each of the 2^L states, L from 8 to 16: see `trellisTable`. */
  readonly lut: Float32Array
}

/** Options of a search through a trellis. */
export interface ViterbiOptions extends TrellisCode {
  /** Weights of one sequence; 256 by default, a tile of 16 × 16. */
  readonly length?: number | undefined
  /** The state after the last weight leads to the first one; true by default. */
  readonly tailBiting?: boolean | undefined
  /** Importance of each value (≥ 0), same length as `values`. */
  readonly weights?: Float32Array | undefined
}
