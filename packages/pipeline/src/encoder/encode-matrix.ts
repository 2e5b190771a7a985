import { matmul, outputError } from '@reallm/kernels'
import {
  type EncodeContext,
  type EncodedMatrix,
  type LongWork,
  type Matrix,
  ReallmError,
} from '@reallm/tensor-io'
import { asymmetricTarget } from '@reallm/vq'
import type { Fisher } from '../calibrate/gradients.ts'
import type { Choice } from '../recipes/recipe.ts'
import { rowSample } from './row-sample.ts'

/** What is known about a matrix's surroundings when it is encoded. */
export interface Moments {
  /** `H`, `[in, in]`. */
  readonly hessian?: Matrix
  /** `E[g gᵀ]` of the outputs, `[out, out]`. */
  readonly outputHessian?: Matrix
  /** `C = XᵀX̂ / tokens` with the original's inputs: given, the asymmetric correction is made. */
  readonly crossMoment?: Matrix
  /** `YᵀX̂ / tokens`, `[out, in]`, Y being what the layer should give: in the place of `W C`. */
  readonly outputMoment?: Matrix
  /** Given, the error to minimise is Σ rows[i] · cols[j] · ΔW[i, j]². */
  readonly fisher?: Fisher
}

export interface EncodeResult {
  readonly encoded: EncodedMatrix
  readonly decoded: Matrix
  /** tr(ΔW H ΔWᵀ) / tr(W H Wᵀ), W being what the codec was asked for. */
  readonly error: number
  /** `error` without feedback rounding, of a sample of rows; only where asked for. */
  readonly errorBefore?: number
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
  {
    compare = false,
    ...work
  }: Omit<EncodeContext, 'hessian' | 'outputHessian'> & { readonly compare?: boolean },
): Promise<EncodeResult> {
  const started = performance.now()
  const { hessian, fisher } = moments
  const weights = fisher
    ? { hessian: diagonal(fisher.cols), outputHessian: diagonal(fisher.rows) }
    : { ...(hessian && { hessian }), ...(moments.outputHessian && { outputHessian: moments.outputHessian }) }
  try {
    const wanted = moments.outputMoment ?? (moments.crossMoment && matmul(w, moments.crossMoment))
    const target = hessian && wanted ? asymmetricTarget(w, wanted, hessian) : w
    const encoded = await choice.encode(target, { ...work, ...weights })
    const decoded = choice.decode(encoded)
    const plainError = outputError(target, decoded)
    const error = hessian ? outputError(target, decoded, { hessian }) : plainError
    if (!Number.isFinite(plainError))
      throw new ReallmError('numeric', 'it decodes to values that are not finite')
    const errorBefore =
      compare && hessian ? await errorWithoutFeedback(target, hessian, choice, work) : undefined
    const seconds = (performance.now() - started) / 1000
    return { encoded, decoded, error, ...(errorBefore !== undefined && { errorBefore }), plainError, seconds }
  } catch (cause) {
    if (!(cause instanceof ReallmError) || cause.code === 'aborted' || cause.message.startsWith(name))
      throw cause
    throw new ReallmError(cause.code, `${name} [${w.rows}×${w.cols}], ${choice.label}: ${cause.message}`, {
      ...(cause.hint && { hint: cause.hint }),
      cause,
    })
  }
}

/** Rows that are encoded again to see what feedback gains. */
const comparedRows = 24

/** Relative output error of the same choice when the codec knows no second moments, on evenly spread rows. */
async function errorWithoutFeedback(
  w: Matrix,
  hessian: Matrix,
  choice: Choice,
  work: LongWork & { readonly seed: number },
): Promise<number> {
  const { w: sample } = rowSample(w, comparedRows)
  const decoded = choice.decode(await choice.encode(sample, work))
  return outputError(sample, decoded, { hessian })
}

function diagonal(values: Float32Array): Matrix {
  const n = values.length
  const data = new Float32Array(n * n)
  for (const [i, v] of values.entries()) data[i * n + i] = v
  return { rows: n, cols: n, data }
}
