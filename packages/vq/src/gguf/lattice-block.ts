/** A block to be packed: what its 32 vectors of 8 weights are, and the scales of its groups. */
export interface LatticeBlock {
  /** Half float of the block, as its bits. */
  readonly step: number
  /** Whole numbers. */
  readonly scales: Uint8Array
  /** Indices of points: one or two for each vector. */
  readonly points: Uint16Array
  /** Bit `i`: weight `i` of the vector is negated. */
  readonly signs: Uint8Array
  /** 1 where a vector is shifted down, not up. */
  readonly shifts: Uint8Array
}
