import type { CausalConv } from '@reallm/tensor-io/models'
import { type Weights, weightOf } from './modules.ts'
import { type TfTensor, tf } from './tf.ts'

export interface Convolved {
  /** `[batch, positions, channels]` */
  readonly y: TfTensor
  /** The inputs that the next positions see, `[batch, kernel − 1, channels]`. */
  readonly state: TfTensor
}

/**
 * A causal convolution of each channel by itself, `[batch, positions, channels]` → the same; `state` is what an earlier call
 * returned. Differentiable in `x` and the weights.
 */
export function causalConv(
  { channels, kernel, weight, bias }: CausalConv,
  weights: Weights,
  x: TfTensor,
  state?: TfTensor,
): Convolved {
  const [batch, length] = x.shape as [number, number]
  const before = state ?? tf.zeros([batch, kernel - 1, channels])
  const seen = kernel === 1 ? x : tf.concat([before, x], 1)
  const taps = weightOf(weights, weight.name).reshape([channels, kernel]).transpose()
  let y: TfTensor | undefined
  for (let j = 0; j < kernel; j++) {
    const tap = taps.slice([j, 0], [1, channels]).reshape([channels])
    const term = seen.slice([0, j, 0], [batch, length, channels]).mul(tap)
    y = y ? y.add(term) : term
  }
  return {
    y: bias ? y!.add(weightOf(weights, bias.name)) : y!,
    state: seen.slice([0, length, 0], [batch, kernel - 1, channels]),
  }
}
