import { outputError } from '@reallm/kernels'
import { type EncodedMatrix, type LongWork, type Matrix, ReallmError } from '@reallm/tensor-io'
import type { Choice } from './recipe.ts'
import { asymmetricTarget } from './wrappers/index.ts'

/** What is known about a matrix's surroundings when it is encoded. */
export interface Moments {
  /** `H`, `[in, in]`. */
  readonly hessian?: Matrix
  /** `E[g gᵀ]` of the outputs, `[out, out]`. */
  readonly outputHessian?: Matrix
  /** `C = XᵀX̂ / tokens`: given, the asymmetric correction is made. */
  readonly crossMoment?: Matrix
}

export interface EncodeResult {
  readonly encoded: EncodedMatrix
  readonly decoded: Matrix
  /** tr(ΔW H ΔWᵀ) / tr(W H Wᵀ), W being what the codec was asked for. */
  readonly error: number
  /** ‖ΔW‖² / ‖W‖² */
  readonly plainError: number
  readonly seconds: number
}

/** Encodes one matrix by one choice, and measures what it lost. */
export async function encodeMatrix(
  name: string,
  w: Matrix,
  choice: Choice,
  moments: Moments,
  work: LongWork & { readonly seed: number },
): Promise<EncodeResult> {
  const started = performance.now()
  const { hessian, outputHessian, crossMoment } = moments
  try {
    const target = hessian && crossMoment ? asymmetricTarget(w, crossMoment, hessian) : w
    const encoded = await choice.encode(target, {
      ...work,
      ...(hessian && { hessian }),
      ...(outputHessian && { outputHessian }),
    })
    const decoded = choice.decode(encoded)
    const plainError = outputError(target, decoded)
    const error = hessian ? outputError(target, decoded, { hessian }) : plainError
    if (!Number.isFinite(plainError))
      throw new ReallmError('numeric', 'it decodes to values that are not finite')
    return { encoded, decoded, error, plainError, seconds: (performance.now() - started) / 1000 }
  } catch (cause) {
    if (!(cause instanceof ReallmError) || cause.code === 'aborted' || cause.message.startsWith(name))
      throw cause
    throw new ReallmError(cause.code, `${name} [${w.rows}×${w.cols}], ${choice.label}: ${cause.message}`, {
      ...(cause.hint && { hint: cause.hint }),
      cause,
    })
  }
}
