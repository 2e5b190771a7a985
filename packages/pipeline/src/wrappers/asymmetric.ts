import { inverse, matmul } from '@reallm/kernels'
import { type Matrix, ReallmError } from '@reallm/tensor-io'

export interface AsymmetricOptions {
  /** Share of Ĥ's mean diagonal that is added before it is inverted; 0.05 by default. */
  readonly lambda?: number
}

/**
 * The weights to encode when the layer will see inputs `X̂` behind an already quantised prefix, and should give what
 * it gave on the original inputs `X`: `W* = W + W (C − Ĥ)(Ĥ + λI)⁻¹`, the least-squares match of `X Wᵀ` that keeps
 * near `W`.
 *
 * @param w `[out, in]`
 * @param crossMoment `C = XᵀX̂ / tokens`, `[in, in]`
 * @param hessian `Ĥ = X̂ᵀX̂ / tokens`, `[in, in]`
 * @throws ReallmError `numeric` when Ĥ + λI is not positive definite
 * @example
 * const target = asymmetricTarget(w, crossMoment, hessian)
 */
export function asymmetricTarget(
  w: Matrix,
  crossMoment: Matrix,
  hessian: Matrix,
  { lambda = 0.05 }: AsymmetricOptions = {},
): Matrix {
  const n = hessian.rows
  let trace = 0
  for (let i = 0; i < n; i++) trace += hessian.data[i * n + i]
  const damped = { ...hessian, data: hessian.data.slice() }
  for (let i = 0; i < n; i++) damped.data[i * n + i] += trace > 0 ? (lambda * trace) / n : 1
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
  const difference = { ...crossMoment, data: crossMoment.data.map((value, i) => value - hessian.data[i]) }
  const out = { ...w, data: w.data.slice() }
  return matmul(matmul(w, difference), inverted, { out, accumulate: true })
}
