import { trellisTable, viterbi } from '../../../packages/kernels/src/index.ts'
import type { Rounding, Values } from './rounded.ts'

/** Values as error feedback hands them to the decoder, and the cost of an error in them. */
export interface Targets {
  readonly bits: number
  readonly loss: number
  readonly x: Float32Array
}

/** The same rounding, which keeps what it is given. */
export const recorded = (rounding: Rounding, targets: Targets[]): Rounding => ({
  ...rounding,
  round(x, bits, loss) {
    targets.push({ bits, loss, x })
    return rounding.round(x, bits, loss)
  },
})

const ROUNDS = 4
/** Weights per state that a table is fitted to. */
const PER_STATE = 128

/**
 * A table for each whole rate by Lloyd's algorithm: paths of the targets, then each state's mean, by the cost of its errors.
 * It starts from the fixed one; values are stored with 8 bits.
 */
export function fitTables(targets: readonly Targets[], stateBits: number): { values: Values; bits: number } {
  const tables = new Map<number, Float32Array>()
  for (const whole of new Set(targets.map(({ bits }) => Math.floor(bits)))) {
    const of = thinned(
      targets.filter(({ bits }) => Math.floor(bits) === whole),
      PER_STATE * 2 ** stateBits,
    )
    const mean = of.reduce((sum, { loss }) => sum + loss, 0) / of.length
    let table = trellisTable(stateBits, whole)
    for (let round = 0; round < ROUNDS; round++) {
      // The value before counts as one weight, so that rare states hardly move.
      const sums = Float64Array.from(table)
      const counts = new Float64Array(table.length).fill(1)
      for (const { bits, loss, x } of of) {
        const states = viterbi(x, { bits, lut: table, tailBiting: false })
        for (const [i, state] of states.entries()) {
          sums[state] += (loss / mean) * x[i]
          counts[state] += loss / mean
        }
      }
      const step = sums.reduce((most, sum, s) => Math.max(most, Math.abs(sum / counts[s])), 0) / 127
      table = Float32Array.from(sums, (sum, s) => step * Math.round(sum / counts[s] / step))
    }
    tables.set(whole, table)
  }
  return { values: bits => tables.get(Math.floor(bits))!, bits: tables.size * (8 * 2 ** stateBits + 32) }
}

/** Every n-th tile of the targets, so that about `wanted` weights are left. */
function thinned(targets: readonly Targets[], wanted: number): Targets[] {
  const all = targets.reduce((sum, { x }) => sum + x.length, 0)
  const every = Math.max(1, Math.floor(all / wanted))
  let tile = 0
  return targets.flatMap(({ x, ...rest }) => {
    const kept: number[] = []
    for (let at = 0; at < x.length; at += 256)
      if (tile++ % every === 0) kept.push(...x.subarray(at, at + 256))
    return kept.length > 0 ? [{ ...rest, x: Float32Array.from(kept) }] : []
  })
}
