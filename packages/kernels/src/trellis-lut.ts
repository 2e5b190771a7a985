import { ReallmError } from '@reallm/tensor-io'

const MULTIPLIER = 34038481
const OFFSET = 76625530
/** Mean of the sum of four uniform bytes. */
export const HASH_MEAN = 510
/** Standard deviation of the sum of four uniform bytes. */
export const HASH_DEVIATION = 147.8

/** Sum of the four bytes of the hashed state, 0 to 1020 (QTIP's "1MAD", arXiv 2406.11235 §3.1). */
export function hashState(state: number): number {
  const h = Math.imul(state, MULTIPLIER) + OFFSET
  return (h & 255) + ((h >>> 8) & 255) + ((h >>> 16) & 255) + (h >>> 24)
}

/**
 * The value of every state of a computed trellis code: about standard normal, nothing stored.
 *
 * @param stateBits L, 4 to 16
 * @example
 * const lut = hashLut(12) // Float32Array(4096)
 */
export function hashLut(stateBits: number): Float32Array {
  checkStateBits(stateBits)
  return Float32Array.from({ length: 2 ** stateBits }, (_, s) => (hashState(s) - HASH_MEAN) / HASH_DEVIATION)
}

/** Throws `bad-option` unless L is a whole number from 4 to 16. */
export function checkStateBits(stateBits: number): void {
  if (!Number.isInteger(stateBits) || stateBits < 4 || stateBits > 16) {
    throw new ReallmError('bad-option', `a trellis state has 4 to 16 bits, got ${stateBits}`)
  }
}
