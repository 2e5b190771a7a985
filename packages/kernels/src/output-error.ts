import { type Matrix, ReallmError } from '@reallm/tensor-io'
import { matmul } from './matmul.ts'
import { shapeText } from './shapes.ts'

export interface SecondMoments {
  /** `H = XᵀX / tokens`, `[in, in]`; absent: the identity. */
  readonly hessian?: Matrix | undefined
  /** `E[g gᵀ]`, `[out, out]`; absent: the identity. */
  readonly outputHessian?: Matrix | undefined
}

/**
 * Relative error of an approximation where it matters, at the layer's output: tr(H_out ΔH Δᵀ) / tr(H_out W H Wᵀ). Without
 * moments it is ‖Δ‖² / ‖W‖². 0 is exact, 1 is what the zero matrix gives.
 *
 * @param w `[out, in]`
 * @example
 * outputError(w, codec.decode(stored), { hessian }) // 0.02: two per cent of the output's energy
 */
export function outputError(w: Matrix, approximation: Matrix, moments: SecondMoments = {}): number {
  if (w.rows !== approximation.rows || w.cols !== approximation.cols) {
    throw new ReallmError(
      'bad-tensor',
      `cannot compare ${shapeText(w)} with its approximation ${shapeText(approximation)}`,
    )
  }
  const delta = { ...w, data: w.data.map((value, i) => value - approximation.data[i]) }
  const error = squaredNorm(delta, moments)
  return error === 0 ? 0 : error / squaredNorm(w, moments)
}

/** tr(H_out Δ H Δᵀ), summed in float64. */
export function squaredNorm(delta: Matrix, { hessian, outputHessian }: SecondMoments = {}): number {
  const right = hessian ? matmul(delta, hessian).data : delta.data
  const left = outputHessian ? matmul(outputHessian, delta).data : delta.data
  let sum = 0
  for (let i = 0; i < right.length; i++) sum += left[i] * right[i]
  return sum
}
