import { ReallmError } from '@reallm/tensor-io'
import { checkTrellisBits } from '@reallm/tensor-io/layouts/trellis-tiles'
import { GAUSS_STEP, gaussTables } from './trellis-tables.data.ts'

/** State bits of the table whose values those of other lengths are made of. */
const LONGEST = 12

/**
 * The values of a trellis code's states for weights of unit variance, `[2^stateBits]`.
 *
 * Tables of 8, 10 and 12 state bits come from Lloyd's algorithm on normal samples (`tools/trellis/train-table.ts`). They are odd:
 * `table[~s] = −table[s]`. Tables of other L are computed: each of the states that follow the same one takes a value from
 * another of 2^bits strata of the 12-bit table. All values are multiples of one step by at most 127, so that int8 arithmetic is
 * exact for a matrix of mixed rates.
 *
 * @param stateBits L, 4 to 16
 * @param bits bits per weight, 1 to 6; a fractional rate uses the table of the whole one below
 * @throws ReallmError `bad-option` for other numbers of bits
 * @example
 * const states = viterbi(values, { bits: 2, lut: trellisTable(10, 2) })
 */
export function trellisTable(stateBits: number, bits: number): Float32Array {
  if (!Number.isInteger(stateBits) || stateBits < 4 || stateBits > 16) {
    throw new ReallmError('bad-option', `a trellis state has 4 to 16 bits, got ${stateBits}`)
  }
  checkTrellisBits(bits)
  const whole = Math.floor(bits)
  const key = `${stateBits} ${whole}`
  const trained = gaussTables[stateBits]?.[whole - 1]
  const table = known.get(key) ?? (trained ? decode(trained) : strata(stateBits, whole))
  known.set(key, table)
  return table.slice()
}

/** Tables by state bits and rate: every matrix needs the same ones. */
const known = new Map<string, Float32Array>()

function decode(text: string): Float32Array {
  const codes = Int8Array.from(text, c => (c.charCodeAt(0) & 255) - 79)
  const last = 2 * codes.length - 1
  return Float32Array.from(
    { length: last + 1 },
    (_, s) => GAUSS_STEP * (s < codes.length ? codes[s] : -codes[last - s]),
  )
}

/**
 * State `s` appended its last `bits` bits to an earlier state. All states that follow the same one take values at the same
 * position within their strata, so that they are evenly spread, and each a stratum of its own; position and order of strata are
 * a hash of the bits that they share.
 */
function strata(stateBits: number, bits: number): Float32Array {
  const values = trellisTable(LONGEST, bits).sort()
  const children = 2 ** bits
  const each = values.length / children
  return Float32Array.from({ length: 2 ** stateBits }, (_, s) => {
    const shared = scrambled(s >>> bits)
    const stratum = (s ^ shared) & (children - 1)
    return values[stratum * each + ((shared >>> 8) & (each - 1))]
  })
}

/** All bits of the result depend on all of `n`'s (MurmurHash3's finaliser). */
function scrambled(n: number): number {
  let h = Math.imul((n + 1) ^ (n >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
