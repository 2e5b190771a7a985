import { random, seedFor } from '@reallm/tensor-io'
import { type TfTensor, tf } from '@reallm/transformer'

/**
 * Weights to start training from: norms 1, matrices normal with deviation 0.02, those that write into the residual
 * stream divided by √(2 · layers) (Radford et al. 2019, §2.3). Each from a seed of its own name.
 */
export function initialWeights(
  tensors: ReadonlyMap<string, readonly number[]>,
  layers: number,
  seed: number,
): Record<string, TfTensor> {
  return Object.fromEntries(
    [...tensors].map(([name, shape]) => {
      if (shape.length === 1) return [name, tf.ones([...shape])]
      const deviation = 0.02 / (/(o_proj|down_proj)\.weight$/.test(name) ? Math.sqrt(2 * layers) : 1)
      const rng = random(seedFor(seed, name))
      const values = Float32Array.from({ length: shape[0] * shape[1] }, () => deviation * rng.normal())
      return [name, tf.tensor(values, [...shape])]
    }),
  )
}
