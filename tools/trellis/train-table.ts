/**
 * Trains a value table of trellis codes for normal weights and prints its row of
 * packages/kernels/src/trellis-tables.data.ts. Tables are part of the artifact's format: never replace one that was released.
 *
 *   npx tsx --conditions=@reallm/source tools/trellis/train-table.ts <stateBits> <bits> [rounds=300] [sequences=3000] [seed=1]
 *
 * Lloyd's algorithm on fresh normal samples: Viterbi paths, then each state's mean; steps are lengthened by 1.7 for the first
 * four fifths. A state and its complement share their statistics, which keeps the table odd. 300 rounds at L = 12 take about
 * ten minutes on one core.
 */
import { viterbi } from '../../packages/kernels/src/index.ts'
import { GAUSS_STEP } from '../../packages/kernels/src/trellis-tables.data.ts'
import { TILE_WEIGHTS } from '../../packages/tensor-io/src/codec/layouts/index.ts'
import { random } from '../../packages/tensor-io/src/index.ts'

const [stateBits, bits, rounds = 300, most = 3000, seed = 1] = process.argv.slice(2).map(Number)
if (!(stateBits >= 8 && stateBits <= 16 && bits >= 1 && bits <= Math.min(6, stateBits - 3))) {
  console.error('usage: train-table.ts <stateBits 8–16> <bits 1–6> [rounds] [sequences] [seed]')
  process.exit(1)
}

const size = 2 ** stateBits
const rng = random(seed)
const table = new Float32Array(size)
for (let s = 0; s < size / 2; s++) setOdd(s, rng.normal())

for (let round = 0; round < rounds; round++) {
  const sequences = Math.round(500 + ((most - 500) * round) / rounds)
  const x = Float32Array.from({ length: sequences * TILE_WEIGHTS }, () => rng.normal())
  const states = viterbi(x, { bits, lut: table, tailBiting: false })
  const sums = new Float64Array(size)
  const counts = new Float64Array(size)
  let error = 0
  for (let i = 0; i < x.length; i++) {
    sums[states[i]] += x[i]
    counts[states[i]]++
    error += (x[i] - table[states[i]]) ** 2
  }
  const step = round < 0.8 * rounds ? 1.7 : 1
  for (let s = 0; s < size / 2; s++) {
    const mirrored = size - 1 - s
    const count = counts[s] + counts[mirrored]
    if (count > 0) setOdd(s, table[s] + (step * (sums[s] - sums[mirrored] - count * table[s])) / (count + 1))
  }
  if (round % 10 === 0 || round === rounds - 1) {
    console.error(`round ${round}: mean squared error ${(error / x.length).toFixed(5)} (open ends)`)
  }
}

const codes = Int8Array.from(table.subarray(0, size / 2), v =>
  Math.max(-127, Math.min(127, Math.round(v / GAUSS_STEP))),
)
console.log(`    '${String.fromCharCode(...Array.from(codes, characterOf))}',`)

/** A printable character for each value, in ASCII where that has one which needs no escape. */
function characterOf(value: number): number {
  const code = value + 79
  return code > 34 && code < 127 && code !== 39 && code !== 92 ? code : code + 256
}

function setOdd(state: number, value: number): void {
  table[state] = value
  table[size - 1 - state] = -value
}
