import { networkBase, networkInputs, networkTable, networkWeights } from '@reallm/kernels'
import { f16ToF32, type Random } from '@reallm/tensor-io'
import { type FullTrellisParams, networkWidth } from '@reallm/tensor-io/layouts'
import { storeNetwork } from './store-network.ts'

const STEPS = 40
const LEARNING_RATE = 0.02

/** Total importance and mean of the weights that were assigned to each state. */
export interface StateMeans {
  readonly counts: Float64Array
  readonly means: Float64Array
}

/**
 * Gradient descent (Adam) on a trellis network: `Σ_s n_s (value(s) − mean_s)²`. Forward passes use the weights in their
 * stored precision; gradients use the straight-through estimator.
 */
export function networkTrainer({ stateBits, hidden }: FullTrellisParams, bits: number, rng: Random) {
  const width = networkWidth(stateBits)
  const inputs = width - 1
  const base = networkBase(stateBits, bits)
  const features = new Float64Array(base.length * inputs)
  for (let s = 0; s < base.length; s++)
    networkInputs(s, stateBits, base[s], features.subarray(s * inputs, (s + 1) * inputs))
  // Output weights start at 0, so that the network starts as the fixed table.
  const weights = Float32Array.from({ length: hidden * width }, (_, i) =>
    i % width === inputs ? 0 : rng.normal() * (i % width >= stateBits ? 1 : 2 / Math.sqrt(stateBits)),
  )
  const first = new Float64Array(weights.length)
  const second = new Float64Array(weights.length)
  const gradient = new Float64Array(weights.length)
  const activations = new Float64Array(hidden)
  const slopes = new Float64Array(hidden)
  let time = 0

  const stored = () => storeNetwork(weights, stateBits)

  function step({ counts, means }: StateMeans, total: number, rate: number): void {
    const { codes, steps } = stored()
    const now = networkWeights(codes, f16ToF32(steps), stateBits)
    gradient.fill(0)
    for (let s = 0; s < base.length; s++) {
      if (counts[s] === 0) continue
      const at = s * inputs
      let value = base[s]
      for (let j = 0; j < hidden; j++) {
        let sum = 0
        for (let i = 0; i < inputs; i++) sum += now[j * width + i] * features[at + i]
        const slope = 1 / (1 + Math.abs(sum))
        activations[j] = sum * slope
        slopes[j] = slope * slope
        value += now[j * width + inputs] * activations[j]
      }
      const error = (2 * counts[s] * (value - means[s])) / total
      for (let j = 0; j < hidden; j++) {
        gradient[j * width + inputs] += error * activations[j]
        const back = error * now[j * width + inputs] * slopes[j]
        for (let i = 0; i < inputs; i++) gradient[j * width + i] += back * features[at + i]
      }
    }
    time++
    for (let i = 0; i < weights.length; i++) {
      first[i] = 0.9 * first[i] + 0.1 * gradient[i]
      second[i] = 0.99 * second[i] + 0.01 * gradient[i] ** 2
      const spread = Math.sqrt(second[i] / (1 - 0.99 ** time)) + 1e-9
      weights[i] -= (rate * first[i]) / (1 - 0.9 ** time) / spread
    }
  }

  return {
    /** A round of training; `progress` from 0 to 1 lowers the learning rate. Returns the new values, `[2^L]`. */
    fit(states: StateMeans, progress: number): Float32Array {
      const total = states.counts.reduce((sum, n) => sum + n, 0)
      for (let i = 0; i < STEPS && total > 0; i++) step(states, total, LEARNING_RATE * (1 - 0.9 * progress))
      const { codes, steps } = stored()
      return networkTable(stateBits, bits, networkWeights(codes, f16ToF32(steps), stateBits))
    },
    stored,
  }
}
