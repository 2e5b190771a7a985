import { type Matrix, ReallmError } from '@reallm/tensor-io'
import { matmul } from './matmul.ts'
import { shapeText } from './shapes.ts'

/** Hessians of a matrix's inputs, and of its outputs where they are known. */
export interface Hessians {
  /** `H = XᵀX / tokens` of the layer's inputs, `[in, in]`; absent: the identity. */
  readonly hessian?: Matrix | undefined
  /** Output-gradient covariance `E[g gᵀ]`, `[out, out]`; absent: the identity. */
  readonly outputHessian?: Matrix | undefined
}

/**
 * Relative error of a layer's outputs when W is approximated: tr(H_out Δ H Δᵀ) / tr(H_out W H Wᵀ). Without Hessians it is
 * ‖Δ‖² / ‖W‖². 0 is exact; the zero matrix has 1.
 *
 * @param w `[out, in]`
 * @example
 * outputError(w, codec.decode(stored), { hessian }) // 0.02: two per cent of the output's energy
 */
export function outputError(w: Matrix, approximation: Matrix, hessians: Hessians = {}): number {
  if (w.rows !== approximation.rows || w.cols !== approximation.cols) {
    throw new ReallmError(
      'bad-tensor',
      `cannot compare ${shapeText(w)} with its approximation ${shapeText(approximation)}`,
    )
  }
  const delta = { ...w, data: w.data.map((value, i) => value - approximation.data[i]) }
  const error = squaredNorm(delta, hessians)
  return error === 0 ? 0 : error / squaredNorm(w, hessians)
}

/** tr(H_out Δ H Δᵀ), summed in float64. */
export function squaredNorm(delta: Matrix, { hessian, outputHessian }: Hessians = {}): number {
  const right = hessian ? matmul(delta, hessian).data : delta.data
  const left = outputHessian ? matmul(outputHessian, delta).data : delta.data
  let sum = 0
  for (let i = 0; i < right.length; i++) sum += left[i] * right[i]
  return sum
}
