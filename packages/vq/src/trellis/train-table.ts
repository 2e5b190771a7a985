import { gaussStateBits, hashLut, TILE, TILE_WEIGHTS, trellisTable, viterbi } from '@reallm/kernels'
import { breather, type EncodeContext, type Matrix, random } from '@reallm/tensor-io'
import type { Full } from './codec.ts'

const ROUNDS = 12
/** Weights for each value of the table that a round looks at. */
const WEIGHTS_PER_STATE = 64

/**
 * Fits a table to a matrix by Lloyd's algorithm: Viterbi paths of sampled tiles, then each state's mean.
 *
 * @param scales one, or one for each row
 * @param segment columns and whole bits that the table is for
 * @returns `[2^stateBits]`, in units of the scales
 */
export async function trainTable(
  w: Matrix,
  scales: Float32Array,
  { stateBits }: Full,
  { bits, from, to }: { bits: number; from: number; to: number },
  ctx: EncodeContext,
): Promise<Float32Array> {
  const rng = random(ctx.seed)
  const breathe = breather(ctx)
  const size = 2 ** stateBits
  const table = gaussStateBits.includes(stateBits)
    ? trellisTable('gauss', stateBits, bits)
    : hashLut(stateBits)
  const [rows, cols] = [Math.floor(w.rows / TILE), Math.floor((to - from) / TILE)]
  const count = Math.min(rows * cols, Math.ceil((WEIGHTS_PER_STATE * size) / TILE_WEIGHTS))
  const values = new Float32Array(count * TILE_WEIGHTS)
  for (let round = 0; round < ROUNDS && count > 0; round++) {
    await breathe()
    for (let t = 0; t < count; t++) {
      const top = TILE * rng.integer(rows)
      const left = from + TILE * rng.integer(cols)
      for (let i = 0; i < TILE_WEIGHTS; i++) {
        const row = top + Math.floor(i / TILE)
        const scale = scales[scales.length > 1 ? row : 0]
        values[t * TILE_WEIGHTS + i] = scale > 0 ? w.data[row * w.cols + left + (i % TILE)] / scale : 0
      }
    }
    const states = viterbi(values, { bits, lut: table, tailBiting: false })
    // The value so far counts as one weight, so that states that hardly occur stay where they are.
    const sums = Float64Array.from(table)
    const counts = new Float64Array(size).fill(1)
    for (let i = 0; i < states.length; i++) {
      sums[states[i]] += values[i]
      counts[states[i]]++
    }
    for (let s = 0; s < size; s++) table[s] = sums[s] / counts[s]
  }
  return table
}
