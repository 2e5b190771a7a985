import { addTimesInverse, inverse, matmul } from '@reallm/kernels'
import { type Matrix, ReallmError } from '@reallm/tensor-io'

/** `C = XᵀX̂ / tokens`, `[in, in]`, X being the original's inputs: their outputs `XWᵀ` are wanted. */
export interface WantedInputs {
  readonly crossCovariance: Matrix
}

/** Options of `asymmetricTarget`. */
export interface AsymmetricOptions {
  /** Share of Ĥ's mean diagonal that is added before it is inverted; 0.3 by default. */
  readonly lambda?: number | undefined
  /** Keeps what is inverted as long as the Hessian, for other rows of the same layer. */
  readonly keep?: boolean | undefined
}

const kept = new WeakMap<Matrix, { readonly lambda: number; readonly inverted: Matrix }>()

/**
 * Asymmetric calibration (GPTAQ, arXiv 2504.02692): the weights to encode when the layer's inputs `X̂` come from layers that
 * are already quantised and its outputs should be `Y`, for instance those of the original model:
 * `W* = (YᵀX̂ + λW) (Ĥ + λI)⁻¹`, the least-squares fit of `Y` by `X̂ Wᵀ`, regularised towards `W`.
 *
 * @param w `[out, in]`
 * @param wanted `YᵀX̂ / tokens`, `[out, in]`; or what makes it of W
 * @param hessian `Ĥ = X̂ᵀX̂ / tokens`, `[in, in]`
 * @throws ReallmError `numeric` when Ĥ + λI is not positive definite
 * @example
 * const target = asymmetricTarget(w, { crossCovariance }, hessian)
 */
export function asymmetricTarget(
  w: Matrix,
  wanted: Matrix | WantedInputs,
  hessian: Matrix,
  { lambda = 0.3, keep = false }: AsymmetricOptions = {},
): Matrix {
  const n = hessian.rows
  const shift = shiftOf(hessian, lambda)
  // As W plus a correction, so that equal inputs give W to the bit.
  const target = { ...w, data: w.data.slice() }
  const correction =
    'crossCovariance' in wanted
      ? matmul(w, difference(wanted.crossCovariance, hessian))
      : difference(wanted, matmul(w, hessian))
  const inverted = keep ? keptInverse(hessian, lambda, shift) : undefined
  if (inverted) matmul(correction, inverted, { out: target, accumulate: true })
  else if (keep || !addTimesInverse(target, correction, hessian, shift)) {
    throw new ReallmError('numeric', `the Hessian [${n}, ${n}] is not positive definite`, {
      hint: 'raise lambda or use more calibration text',
    })
  }
  return target
}

function difference(a: Matrix, b: Matrix): Matrix {
  const data = new Float32Array(a.data.length)
  for (let i = 0; i < data.length; i++) data[i] = a.data[i] - b.data[i]
  return { ...a, data }
}

const shiftOf = ({ rows: n, data }: Matrix, lambda: number): number => {
  let trace = 0
  for (let i = 0; i < n; i++) trace += data[i * n + i]
  return trace > 0 ? (lambda * trace) / n : 1
}

function keptInverse(hessian: Matrix, lambda: number, shift: number): Matrix | undefined {
  const known = kept.get(hessian)
  if (known?.lambda === lambda) return known.inverted
  const inverted = inverse(hessian, shift)
  if (inverted) kept.set(hessian, { lambda, inverted })
  return inverted
}
