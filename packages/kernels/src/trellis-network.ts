import { networkWidth } from '@reallm/tensor-io/layouts/trellis'
import { trellisTable } from './trellis-tables.ts'

/** The fixed table that a trellis network corrects. */
export const networkBase = (stateBits: number, bits: number): Float32Array => trellisTable(stateBits, bits)

/** The inputs of state `s`: its bits as ±1, its fixed value, and one. Written to `out`. */
export function networkInputs(s: number, stateBits: number, fixed: number, out: Float64Array): void {
  for (let i = 0; i < stateBits; i++) out[i] = (s >>> i) & 1 ? 1 : -1
  out[stateBits] = fixed
  out[stateBits + 1] = 1
}

/**
 * The values of a neural trellis code (ReALLM's D_φ on the window of a trellis): a network on the L bits of a state
 * corrects a fixed table, `value(s) = fixed(s) + Σ_j v_j·φ(w_j · [bits of s, fixed(s), 1])`, `φ(z) = z / (1 + |z|)`.
 * Once tabulated it decodes as fast as a table. The values are multiples of one step by at most 127, exact in int8. Sums have
 * a fixed order and no transcendental function, so that every machine computes the same values.
 *
 * @param weights `[hidden, networkWidth(L)]`
 * @returns `[2^L]`
 */
export function networkTable(stateBits: number, bits: number, weights: Float32Array): Float32Array {
  const table = networkBase(stateBits, bits)
  const width = networkWidth(stateBits)
  const inputs = new Float64Array(width - 1)
  for (let s = 0; s < table.length; s++) {
    networkInputs(s, stateBits, table[s], inputs)
    let value = table[s]
    for (let j = 0; j < weights.length; j += width) {
      let sum = 0
      for (let i = 0; i < inputs.length; i++) sum += weights[j + i] * inputs[i]
      value += (weights[j + width - 1] * sum) / (1 + Math.abs(sum))
    }
    table[s] = value
  }
  const step = table.reduce((top, v) => Math.max(top, Math.abs(v)), 0) / 127
  return step > 0 ? table.map(v => step * Math.round(v / step)) : table
}

/**
 * A stored network's weights: 8-bit codes times one of two steps.
 *
 * @param codes `[hidden, networkWidth(L)]`
 * @param steps `[2]`: of the input weights, and of the output weights
 */
export function networkWeights(codes: Int8Array, steps: Float32Array, stateBits: number): Float32Array {
  const width = networkWidth(stateBits)
  return Float32Array.from(codes, (code, i) => code * steps[+(i % width === width - 1)])
}
