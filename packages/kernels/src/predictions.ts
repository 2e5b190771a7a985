import { ReallmError } from '@reallm/tensor-io'
import { floats, type Pointer, reserve, wantsReference } from './engine.ts'
import { divergence, likeliest, logSumExp, rankOf } from './reference/predictions.ts'
import { type SmallModule, startSmallModule } from './small-module.ts'
import { plain } from './wasm/predictions.ts'

/** What the logits of one prediction say. */
export interface Prediction {
  /** Index of the largest; the first of several. */
  readonly likeliest: number
  /** log Σ exp of the logits: a token's log-probability is its logit less this. */
  readonly logSumExp: number
}

/** What the logits of two models, `p` and `q`, say of the same position. */
export interface ComparedPrediction {
  readonly p: Prediction
  readonly q: Prediction
  /** KL(p ‖ q), in nats. */
  readonly divergence: number
  /** How many tokens `q` finds likelier than the likeliest of `p`. */
  readonly rank: number
}

/** What `assembly/predictions` exports; see there for the arguments. */
interface PredictionKernels {
  likeliest(x: Pointer, n: number): number
  larger(x: Pointer, n: number, own: number): number
  sumExp(x: Pointer, n: number, top: number): number
  weightedDifference(p: Pointer, q: Pointer, n: number, top: number): number
}

let started: SmallModule<PredictionKernels> | undefined

function kernels(): SmallModule<PredictionKernels> | undefined {
  if (wantsReference()) return undefined
  started ??= startSmallModule(plain)
  return started
}

/**
 * The likeliest token and the softmax's denominator of logits `[vocabulary]`, exponentials with a relative error of about 1e-7.
 *
 * @throws ReallmError `bad-tensor` without logits
 */
export function predictionOf(logits: Float32Array): Prediction {
  checkLogits(logits, logits)
  const e = kernels()
  if (!e) return { likeliest: likeliest(logits), logSumExp: logSumExp(logits) }
  return summary(e, logits, place(e, logits)[0]).prediction
}

/**
 * Predictions of two models for the same position, and how far apart they are; exponentials with a relative error of about 1e-7.
 *
 * @param p logits `[vocabulary]` of the model that is compared with
 * @param q logits `[vocabulary]`
 * @throws ReallmError `bad-tensor` without logits or for different vocabularies
 */
export function comparePredictions(p: Float32Array, q: Float32Array): ComparedPrediction {
  checkLogits(p, q)
  const e = kernels()
  if (!e) {
    const [own, other] = [p, q].map(x => ({ likeliest: likeliest(x), logSumExp: logSumExp(x) }))
    const apart = divergence(p, q, own.logSumExp, other.logSumExp)
    return { p: own, q: other, divergence: apart, rank: rankOf(q, own.likeliest) }
  }
  const [pp, pq] = place(e, p, q)
  const [own, other] = [summary(e, p, pp), summary(e, q, pq)]
  const weighted = e.kernels.weightedDifference(pp, pq, p.length, own.top) / own.sum
  return {
    ...{ p: own.prediction, q: other.prediction },
    divergence: weighted - own.prediction.logSumExp + other.prediction.logSumExp,
    rank: e.kernels.larger(pq, q.length, q[own.prediction.likeliest]),
  }
}

function checkLogits(p: Float32Array, q: Float32Array): void {
  if (p.length > 0 && p.length === q.length) return
  throw new ReallmError('bad-tensor', `no predictions in ${p.length} and ${q.length} logits`)
}

/** What rows are filled up with. */
const PADDING = -3e38

/** Copies rows of one length to the kernels' memory, filled up to four. */
function place(e: SmallModule<PredictionKernels>, ...rows: readonly Float32Array[]): Pointer[] {
  const width = Math.ceil(rows[0].length / 4) * 4
  const places = reserve(e, ...rows.map(() => 4 * width))
  for (const [i, row] of rows.entries()) {
    const to = floats(e, places[i], width)
    to.set(row)
    to.fill(PADDING, row.length)
  }
  return places
}

function summary({ kernels }: SmallModule<PredictionKernels>, logits: Float32Array, at: Pointer) {
  const likeliest = kernels.likeliest(at, logits.length)
  const top = logits[likeliest]
  const sum = kernels.sumExp(at, logits.length, top)
  return { top, sum, prediction: { likeliest, logSumExp: top + Math.log(sum) } satisfies Prediction }
}
