import { throwIfAborted } from '@reallm/tensor-io'
import { loadTensors, type Sublayer, type TfTensor, tf, type Weights } from '@reallm/transformer'
import type { Activations } from '../calibrate/activations.ts'
import { covariance, symmetricCovariance } from '../calibrate/covariance.ts'
import { headInput, inputOf, type SequenceBatch } from '../calibrate/forward.ts'
import type { HiddenStates } from '../calibrate/hidden-states.ts'
import { statistics } from '../calibrate/statistics.ts'
import type { RoundingStatistics } from '../encoder/encode-matrix.ts'
import { keptStatistics } from '../recipes/recipe.ts'
import type { QuantiseContext } from './quantise-context.ts'

/** Share of every token in a Hessian besides its weight, whose mean is 1. */
const plainShare = 0.15

/** A projection group whose inputs are gathered. */
export interface Gathered {
  readonly sublayer: Sublayer
  /** The group's name: its first module. */
  readonly group: string
  /** What the original has there (`passOriginal`), where the recipe is asymmetric. */
  readonly original?: Activations | undefined
  /** Where its inputs are kept. */
  readonly keep?: Activations | undefined
}

/**
 * Hessians of a group's inputs behind everything that is quantised, and cross-covariances with what the original has
 * there. Tokens are weighed by their gradients at the group's outputs where those are known (`tokenWeights`; the other
 * half of YAQA's Kronecker product, arXiv 2505.22988). Every token keeps a share, since the largest activations have the
 * smallest gradients and must survive all the same.
 *
 * Of an expert these are the tokens that reach it, all alike, and without the original's: it routes others there. An expert
 * that none reaches has no Hessian: it is rounded for inputs that are independent and equally large.
 */
export async function gatherHessians(
  { model: { config }, checkpoint, settings }: QuantiseContext,
  weights: Weights,
  pass: HiddenStates,
  { sublayer, group, original, keep }: Gathered,
): Promise<RoundingStatistics> {
  const endsSublayer = group === sublayer.last
  const hessian = symmetricCovariance()
  const cross = covariance()
  const tokens = keptStatistics(settings.recipe, settings.effort).outputGradients
    ? await checkpoint.get(statistics.tokenWeights(group))
    : undefined
  let seen = 0
  for (let b = 0; b < pass.batches; b++) {
    throwIfAborted(settings.signal)
    const before = await pass.get(b)
    const x = inputOf(config, weights, sublayer, before, group)
    if (!x) continue
    await keep?.set(b, x.dataSync() as Float32Array)
    const [positions] = x.shape
    const known = tokens?.data.subarray(seen, seen + positions)
    seen += positions
    const weighed = tf.tidy(() =>
      known ? x.mul(tf.tensor2d(known, [positions, 1]).add(plainShare)) : x.clone(),
    )
    hessian.add(weighed, x)
    if (original) {
      const there = await original.get(b)
      const wanted = tf.tidy(() => {
        const values = tf.tensor2d(there, [positions, there.length / positions])
        return endsSublayer ? wantedOutput(weights, sublayer, values, before) : values
      })
      cross.add(wanted, weighed)
      wanted.dispose()
    }
    tf.dispose([x, weighed])
  }
  if (hessian.positions === 0) return {}
  if (!original) return { hessian: hessian.take() }
  return { hessian: hessian.take(), [endsSublayer ? 'wantedOutputs' : 'crossCovariance']: cross.take() }
}

/**
 * What the last projection of a sublayer should give, `[positions, out]`: what takes the residual stream from where the
 * quantised model has left it to where the original has it.
 */
function wantedOutput(
  weights: Weights,
  { lastOutput }: Sublayer,
  original: TfTensor,
  before: SequenceBatch,
): TfTensor {
  if (!lastOutput) return original
  const [positions, width] = original.shape as [number, number]
  const streams = [tf.tensor2d(before.values, [positions, width]), original].map(x => x.expandDims(0))
  return lastOutput(weights, streams[0], streams[1]).reshape([positions, -1])
}

/** The Hessian of the head's input on one pass, and its cross-covariance with another's. */
export async function gatherHead(
  { model: { config, weights }, settings }: QuantiseContext,
  quantised: HiddenStates,
  original?: HiddenStates,
): Promise<RoundingStatistics> {
  const norm = await loadTensors(weights, [`${weights.config.norm.name}.weight`])
  const hessian = symmetricCovariance()
  const cross = covariance()
  const inputAt = async (pass: HiddenStates, b: number) => headInput(config, norm, await pass.get(b))
  for (let b = 0; b < quantised.batches; b++) {
    throwIfAborted(settings.signal)
    const x = await inputAt(quantised, b)
    hessian.add(x, x)
    if (original) {
      const y = await inputAt(original, b)
      cross.add(y, x)
      y.dispose()
    }
    x.dispose()
  }
  tf.dispose(norm)
  return { hessian: hessian.take(), crossCovariance: original && cross.take() }
}
