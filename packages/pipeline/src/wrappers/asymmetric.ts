import { inverse, matmul } from '@reallm/kernels'
import { type Matrix, ReallmError } from '@reallm/tensor-io'

export interface AsymmetricOptions {
  /** Share of Ĥ's mean diagonal that is added before it is inverted; 0.3 by default. */
  readonly lambda?: number
}

/**
 * The weights to encode when the layer will see inputs `X̂` behind an already quantised prefix, and should give `Y`, say what
 * it gave on the original inputs: `W* = (YᵀX̂ + λW) (Ĥ + λI)⁻¹`, the least-squares match of `Y` by `X̂ Wᵀ` that keeps near `W`.
 *
 * @param w `[out, in]`
 * @param wanted `YᵀX̂ / tokens`, `[out, in]`
 * @param hessian `Ĥ = X̂ᵀX̂ / tokens`, `[in, in]`
 * @throws ReallmError `numeric` when Ĥ + λI is not positive definite
 * @example
 * const target = asymmetricTarget(w, matmul(w, crossMoment), hessian)
 */
export function asymmetricTarget(
  w: Matrix,
  wanted: Matrix,
  hessian: Matrix,
  { lambda = 0.3 }: AsymmetricOptions = {},
): Matrix {
  const n = hessian.rows
  let trace = 0
  for (let i = 0; i < n; i++) trace += hessian.data[i * n + i]
  const shift = trace > 0 ? (lambda * trace) / n : 1
  const damped = { ...hessian, data: hessian.data.slice() }
  for (let i = 0; i < n; i++) damped.data[i * n + i] += shift
  const inverted = inverse(damped)
  if (!inverted) {
    throw new ReallmError(
      'numeric',
      `the second moment of the inputs [${n}, ${n}] is not positive definite`,
      {
        hint: 'raise lambda or use more calibration text',
      },
    )
  }
  // W and what it lacks: nothing is lost where nothing has changed.
  const lacking = matmul(w, hessian)
  for (let i = 0; i < lacking.data.length; i++) lacking.data[i] = wanted.data[i] - lacking.data[i]
  return matmul(lacking, inverted, { out: { ...w, data: w.data.slice() }, accumulate: true })
}
