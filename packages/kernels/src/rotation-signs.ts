import { random, seedFor } from '@reallm/tensor-io'

/**
 * The random signs of a rotation's side, `[n]` of ±1, from its stored seed: `hadamard(m, { signs })` then makes the
 * columns of `m` incoherent. A pure function of its arguments: storing the seed stores the signs.
 *
 * @param side `input`: the columns of W and the activations; `output`: the rows of W and the results
 */
export function rotationSigns(seed: number, side: 'input' | 'output', n: number): Float32Array {
  const { sign } = random(seedFor(seed, side))
  const signs = new Float32Array(n)
  for (let i = 0; i < n; i++) signs[i] = sign()
  return signs
}
