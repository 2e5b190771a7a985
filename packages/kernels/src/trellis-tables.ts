import { ReallmError } from '@reallm/tensor-io'
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

/** Values of L that have a `gauss` table. */
export const gaussStateBits: readonly number[] = Object.keys(gaussTables).map(Number)

/**
 * The values of a trellis code's states for weights of unit variance, `[2^stateBits]`.
 *
 * `gauss` tables come from Lloyd's algorithm on normal samples: Viterbi paths, then each state's mean
 * (`tools/trellis/train-table.ts`). They are odd (`table[~s] = −table[s]`) and all multiples of one step, at most 127
 * times: int8 arithmetic loses nothing, whatever rates a matrix mixes. At 2 bits L = 10 is as good as `hash` with L = 13.
 *
 * @param stateBits L
 * @param bits bits per weight, 1 to 6; a fractional rate shares the table of the whole one below
 * @throws ReallmError `bad-option` where there is no table
 * @example
 * const states = viterbi(values, { bits: 2, lut: trellisTable('gauss', 10, 2) })
 */
export function trellisTable(values: TrellisValues, stateBits: number, bits: number): Float32Array {
  checkTrellisTable(values, stateBits, bits)
  const whole = Math.floor(bits)
  if (values === 'hash') return hashLut(stateBits).map(v => v * HASH_SPREAD[whole])
  const key = `${stateBits} ${whole}`
  const table = decoded.get(key) ?? decode(gaussTables[stateBits][whole - 1])
  decoded.set(key, table)
  return table.slice()
}

/** Throws `bad-option` where there are no such values. */
export function checkTrellisTable(values: TrellisValues, stateBits: number, bits: number): void {
  checkStateBits(stateBits)
  if (values === 'hash' || gaussTables[stateBits]?.[Math.floor(bits) - 1] !== undefined) return
  throw new ReallmError('bad-option', `there is no gauss table of ${stateBits} state bits for ${bits} bits`, {
    hint: `use ${gaussStateBits.join(', ')} state bits, or values: 'hash'`,
  })
}

/** Tables that have been looked up: the same ones are wanted for every matrix. */
const decoded = new Map<string, Float32Array>()

function decode(base64: string): Float32Array {
  const codes = Int8Array.from(atob(base64), c => c.charCodeAt(0))
  const last = 2 * codes.length - 1
  return Float32Array.from(
    { length: last + 1 },
    (_, s) => GAUSS_STEP * (s < codes.length ? codes[s] : -codes[last - s]),
  )
}
