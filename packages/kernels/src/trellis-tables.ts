import { checkTrellisBits } from '@reallm/tensor-io/layouts/trellis-tiles'
import { checkStateBits, hashLut } from './trellis-lut.ts'
import { GAUSS_STEP, gaussTables } from './trellis-tables.data.ts'

/** Values of states that take no storage: computed from the state, or a table that is part of this package. */
export type TrellisValues = 'hash' | 'gauss'

/**
 * Factor on the hash's values, by bits per weight: their spread that gives the least error on weights of unit variance
 * (measured, L 10 to 14).
 */
export const HASH_SPREAD: Readonly<Record<number, number>> = {
  1: 0.96,
  2: 1.04,
  3: 1.09,
  4: 1.15,
  5: 1.2,
  6: 1.28,
}

/** The table whose values all others are made of. */
const LONGEST = 12

/**
 * The values of a trellis code's states for weights of unit variance, `[2^stateBits]`.
 *
 * `gauss` tables of 8, 10 and 12 state bits come from Lloyd's algorithm on normal samples: Viterbi paths, then each
 * state's mean (`tools/trellis/train-table.ts`). They are odd (`table[~s] = −table[s]`). Those of other L are computed: the
 * states that follow the same one take a value each from 2^bits strata of the 12-bit table's, which errs at
 * most 2 % more than a trained one. All values are multiples of one step, at most 127 times: int8 arithmetic loses
 * nothing, whatever rates a matrix mixes. At 2 bits L = 10 is as good as `hash` with L = 13.
 *
 * @param stateBits L, 4 to 16
 * @param bits bits per weight, 1 to 6; a fractional rate shares the table of the whole one below
 * @throws ReallmError `bad-option` for other numbers of bits
 * @example
 * const states = viterbi(values, { bits: 2, lut: trellisTable('gauss', 10, 2) })
 */
export function trellisTable(values: TrellisValues, stateBits: number, bits: number): Float32Array {
  checkStateBits(stateBits)
  checkTrellisBits(bits)
  const whole = Math.floor(bits)
  if (values === 'hash') return hashLut(stateBits).map(v => v * HASH_SPREAD[whole])
  const key = `${stateBits} ${whole}`
  const trained = gaussTables[stateBits]?.[whole - 1]
  const table = known.get(key) ?? (trained ? decode(trained) : strata(stateBits, whole))
  known.set(key, table)
  return table.slice()
}

/** Tables that have been looked up: the same ones are wanted for every matrix. */
const known = new Map<string, Float32Array>()

function decode(base64: string): Float32Array {
  const codes = Int8Array.from(atob(base64), c => c.charCodeAt(0))
  const last = 2 * codes.length - 1
  return Float32Array.from(
    { length: last + 1 },
    (_, s) => GAUSS_STEP * (s < codes.length ? codes[s] : -codes[last - s]),
  )
}

/**
 * State `s` appended its last `bits` bits to some state before. All that follow that one have the same shift within their
 * strata, so that they are evenly spread, and the strata in an order of its own: both are hashed from what they share.
 */
function strata(stateBits: number, bits: number): Float32Array {
  const values = trellisTable('gauss', LONGEST, bits).sort()
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
