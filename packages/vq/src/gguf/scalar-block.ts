/** A block to be packed: codes are indices of levels, `scales` and `mins` those of its groups. */
export interface ScalarBlock {
  readonly codes: Uint8Array
  /** Half floats as their bits, of the block. */
  readonly step: number
  readonly shift: number
  /** Whole numbers that the block's step and shift are multiplied by. */
  readonly scales: Int16Array
  readonly mins: Int16Array
}
