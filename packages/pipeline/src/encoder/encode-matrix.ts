import { outputError, squaredNorm } from '@reallm/kernels'
import {
  type EncodeContext,
  type EncodedMatrix,
  type LongWork,
  type Matrix,
  ReallmError,
} from '@reallm/tensor-io'
import { asymmetricTarget } from '@reallm/vq'
import type { Fisher } from '../calibrate/statistics.ts'
import type { Configuration } from '../recipes/configuration.ts'
import { freeLarge } from './free-large.ts'
import { rowSample } from './row-sample.ts'

/** What is known about a matrix's surroundings when it is rounded. */
export interface RoundingStatistics {
  /** `H = X̂ᵀX̂ / tokens`, `[in, in]`, of its inputs behind everything that is quantised. */
  readonly hessian?: Matrix | undefined
  /** Covariance of the gradients at its outputs, `[out, out]`. */
  readonly outputGradients?: Matrix | undefined
  /** `C = XᵀX̂ / tokens`, `[in, in]`, X being the original's inputs: the target becomes `W C H⁻¹`. */
  readonly crossCovariance?: Matrix | undefined
  /** `YᵀX̂ / tokens`, `[out, in]`, Y being the outputs that are wanted: the target becomes `YᵀX̂ H⁻¹`. */
  readonly wantedOutputs?: Matrix | undefined
  /** Given, the error to minimise is Σ rows[i] · cols[j] · ΔW[i, j]². */
  readonly fisher?: Fisher | undefined
}

export interface EncodeResult {
  readonly encoded: EncodedMatrix
  readonly decoded: Matrix
  /** tr(ΔW H ΔWᵀ) / tr(W H Wᵀ), W being the target, or some rows of it where it is wide. */
  readonly error: number
  /** `error` without error feedback, of a sample of rows; only where asked for. */
  readonly errorWithoutFeedback?: number | undefined
  /** ‖ΔW‖² / ‖W‖² */
  readonly plainError: number
  /** What the errors are relative to; of a band, so that errors of bands can be put together. */
  readonly norms?: { readonly outputs: number; readonly weights: number } | undefined
  readonly seconds: number
}

export interface EncodeOptions extends Omit<EncodeContext, 'hessian' | 'outputHessian'> {
  /** Also measure what error feedback gains. */
  readonly compareFeedback?: boolean | undefined
}

/** Encodes one matrix in one configuration, and measures what it lost. */
export async function encodeMatrix(
  name: string,
  w: Matrix,
  configuration: Configuration,
  statistics: RoundingStatistics,
  { compareFeedback = false, ...work }: EncodeOptions,
): Promise<EncodeResult> {
  const started = performance.now()
  const { hessian, outputGradients } = statistics
  try {
    const { crossCovariance } = statistics
    const wanted = statistics.wantedOutputs ?? (crossCovariance && { crossCovariance })
    const target = hessian && wanted ? asymmetricTarget(w, wanted, hessian, { keep: work.isBand }) : w
    const bytes = w.data.byteLength + (hessian?.data.byteLength ?? 0)
    // What the target was made of, then what was made of it.
    if (wanted) freeLarge(bytes)
    const onHessianRead = () =>
      freeLarge(Math.max(...[hessian, outputGradients].map(m => m?.data.byteLength ?? 0)))
    const encoded = await configuration.encode(target, { ...work, ...weightsOf(statistics), onHessianRead })
    freeLarge(bytes)
    const decoded = configuration.decode(encoded)
    const plainError = outputError(target, decoded)
    const error = hessian ? errorUnder(hessian, target, decoded) : plainError
    if (!Number.isFinite(plainError))
      throw new ReallmError('numeric', 'it decodes to values that are not finite')
    const errorWithoutFeedback =
      compareFeedback && hessian ? await sampledError(target, hessian, configuration, work) : undefined
    const norms = work.isBand
      ? { outputs: squaredNorm(target, { hessian }), weights: squaredNorm(target) }
      : undefined
    const seconds = (performance.now() - started) / 1000
    return { encoded, decoded, error, errorWithoutFeedback, plainError, norms, seconds }
  } catch (cause) {
    if (!(cause instanceof ReallmError) || cause.code === 'aborted' || cause.message.startsWith(name))
      throw cause
    throw new ReallmError(
      cause.code,
      `${name} [${w.rows}×${w.cols}], ${configuration.label}: ${cause.message}`,
      {
        ...(cause.hint && { hint: cause.hint }),
        cause,
      },
    )
  }
}

/** What the codec weighs errors by. */
function weightsOf({ hessian, outputGradients, fisher }: RoundingStatistics) {
  if (fisher) return { hessian: diagonal(fisher.cols), outputHessian: diagonal(fisher.rows) }
  return { ...(hessian && { hessian }), ...(outputGradients && { outputHessian: outputGradients }) }
}

/** Rows that the error of a matrix is measured on: of large ones not all, which would take as long as to encode them. */
export const measuredRows = (rows: number, cols: number): number =>
  Math.min(rows, Math.max(256, Math.floor(2 ** 20 / cols)))

/** Relative output error. */
function errorUnder(hessian: Matrix, target: Matrix, decoded: Matrix): number {
  const { rows, cols } = target
  const most = measuredRows(rows, cols)
  const [wanted, got] = [target, decoded].map(m => (most < rows ? rowSample(m, most).w : m))
  return outputError(wanted, got, { hessian })
}

/** Rows that are encoded again to see what error feedback gains. */
export const comparedRows = 24

/** Relative output error of the same configuration when the codec knows no Hessian, on evenly spread rows. */
async function sampledError(
  w: Matrix,
  hessian: Matrix,
  configuration: Configuration,
  work: LongWork & { readonly seed: number },
): Promise<number> {
  const { w: sample } = rowSample(w, comparedRows)
  const own = configuration.byUse?.forSome(sample.rows) ?? configuration
  const decoded = own.decode(await own.encode(sample, work))
  return outputError(sample, decoded, { hessian })
}

function diagonal(values: Float32Array): Matrix {
  const n = values.length
  const data = new Float32Array(n * n)
  for (const [i, v] of values.entries()) data[i * n + i] = v
  return { rows: n, cols: n, data }
}
