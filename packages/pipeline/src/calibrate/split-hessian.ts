import type { Matrix } from '@reallm/tensor-io'
import { type TfTensor, tf } from '@reallm/transformer'
import { plusDiagonal, symmetricCovariance } from './covariance.ts'

/**
 * Hessians of a matrix's inputs, `[in, in]`, of different sequences. Rounding makes errors small for the tokens it knows,
 * so that only others can tell what they cost.
 */
export interface SplitHessians {
  /** What configurations are rounded under. */
  readonly rounding: Matrix
  /** What their errors are measured under; it may be made when it is first read. */
  readonly measuring: Matrix
}

/** Share of the mean diagonal that is added to the Hessian for rounding: it knows few tokens. */
const roundingDamping = 0.1

/** Sums every other sequence for rounding, and those between for measuring; a single one for both. */
export function splitHessian(sequences: number) {
  const rounding = lateCovariance()
  const measuring = lateCovariance()
  return {
    /** Inputs `x` `[positions, in]` of sequence `s`; weights of its tokens where they differ. */
    add(
      s: number,
      x: TfTensor,
      weights?: { readonly rounding: Float32Array; readonly measuring: Float32Array },
    ) {
      if (s % 2 === 0) rounding.add(x, weights?.rounding)
      if (s % 2 === 1 || sequences === 1) measuring.add(x, weights?.measuring)
    },
    /** Of positions that are all in one half, that half for both; undefined where there were none. */
    take(): SplitHessians | undefined {
      const [first, second] = [rounding, measuring].filter(({ positions }) => positions > 0)
      if (!first) return undefined
      const known = first.take()
      let trace = 0
      for (let i = 0; i < known.data.length; i += known.cols + 1) trace += known.data[i]
      const damping = (roundingDamping * trace) / known.cols
      if (!second) return { rounding: plusDiagonal(known, damping), measuring: known }
      for (let i = 0; i < known.data.length; i += known.cols + 1) known.data[i] += damping
      let measured: Matrix | undefined
      return {
        rounding: known,
        get measuring() {
          measured ??= second.take()
          return measured
        },
      }
    },
    dispose() {
      for (const sum of [rounding, measuring]) sum.dispose()
    },
  }
}

/** A symmetric covariance that keeps what it is to be made of as long as that is smaller. */
function lateCovariance() {
  const sum = symmetricCovariance()
  const waiting: { readonly x: TfTensor; readonly weights: Float32Array | undefined }[] = []
  let positions = 0
  function addWaiting(): void {
    for (const { x, weights } of waiting.splice(0)) {
      const weighed = tf.tidy(() => (weights ? x.mul(tf.tensor2d(weights, [weights.length, 1])) : x.clone()))
      sum.add(weighed, x)
      tf.dispose([x, weighed])
    }
  }
  return {
    get positions() {
      return positions
    },
    /** Inputs `x` `[positions, in]`, not disposed, and weights of its tokens where they differ. */
    add(x: TfTensor, weights?: Float32Array) {
      waiting.push({ x: tf.keep(x.clone()), weights })
      const [count, width] = x.shape as [number, number]
      positions += count
      if (positions > width / 2) addWaiting()
    },
    take(): Matrix {
      addWaiting()
      return sum.take()
    },
    dispose() {
      tf.dispose(waiting.splice(0).map(({ x }) => x))
      sum.dispose()
    },
  }
}
