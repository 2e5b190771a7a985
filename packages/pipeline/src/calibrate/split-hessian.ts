import type { Matrix } from '@reallm/tensor-io'
import { type TfTensor, tf } from '@reallm/transformer'
import { type Covariance, plusDiagonal, symmetricCovariance } from './covariance.ts'

/**
 * Hessians of a matrix's inputs, `[in, in]`, of different sequences. Rounding makes errors small for the tokens it knows,
 * so that only others can tell what they cost.
 */
export interface SplitHessians {
  /** What configurations are rounded under. */
  readonly rounding: Matrix
  /** What their errors are measured under. */
  readonly measuring: Matrix
}

/** Share of the mean diagonal that is added to the Hessian for rounding: it knows few tokens. */
const roundingDamping = 0.1

/** Sums every other sequence for rounding, and those between for measuring; a single one for both. */
export function splitHessian(sequences: number) {
  const rounding = symmetricCovariance()
  const measuring = symmetricCovariance()
  return {
    /** Inputs `x` `[positions, in]` of sequence `s`; weights of its tokens where they differ. */
    add(
      s: number,
      x: TfTensor,
      weights?: { readonly rounding: Float32Array; readonly measuring: Float32Array },
    ) {
      const addTo = (sum: Covariance, of: Float32Array | undefined) => {
        const weighed = tf.tidy(() => (of ? x.mul(tf.tensor2d(of, [of.length, 1])) : x.clone()))
        sum.add(weighed, x)
        weighed.dispose()
      }
      if (s % 2 === 0) addTo(rounding, weights?.rounding)
      if (s % 2 === 1 || sequences === 1) addTo(measuring, weights?.measuring)
    },
    /** Of positions that are all in one half, that half for both; undefined where there were none. */
    take(): SplitHessians | undefined {
      const [first, second] = [rounding, measuring].filter(({ positions }) => positions > 0)
      if (!first) return undefined
      const known = first.take()
      const measured = second ? second.take() : known
      let trace = 0
      for (let i = 0; i < known.data.length; i += known.cols + 1) trace += known.data[i]
      return {
        rounding: plusDiagonal(known, (roundingDamping * trace) / known.cols),
        measuring: measured,
      }
    },
  }
}
