import type { Mixer } from '@reallm/tensor-io/models'
import { attention } from './attention.ts'
import type { ForwardOptions, Weights } from './modules.ts'
import { gatedDeltaNet, mamba2, shortConv } from './recurrent-mixers.ts'
import type { TfTensor } from './tf.ts'

/** What goes into the output matrix of layer `i`'s mixer: `[batch, positions, hidden]` → `[batch, positions, in]`. */
export function mix(
  spec: Mixer,
  i: number,
  weights: Weights,
  x: TfTensor,
  options: ForwardOptions,
): TfTensor {
  switch (spec.kind) {
    case 'attention':
      return attention(spec, i, weights, x, options)
    case 'short-conv':
      return shortConv(spec, i, weights, x, options)
    case 'gated-delta-net':
      return gatedDeltaNet(spec, i, weights, x, options)
    case 'mamba2':
      return mamba2(spec, i, weights, x, options)
  }
}
