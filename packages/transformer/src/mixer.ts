import type { Mixer, TransformerConfig } from '@reallm/tensor-io/models'
import { attention, sharedAttention } from './attention.ts'
import type { ForwardOptions, Weights } from './modules.ts'
import { gatedDeltaNet, mamba2, shortConv } from './recurrent-mixers.ts'
import { columnsOf, streamOf } from './stream.ts'
import { type TfTensor, tf } from './tf.ts'

export interface MixerPlace {
  readonly config: TransformerConfig
  readonly layer: number
  readonly weights: Weights
  readonly options: ForwardOptions
}

/**
 * What goes into the output matrix of a layer's mixer: `[batch, positions, hidden]` → `[batch, positions, in]`.
 *
 * @param stream what earlier layers left
 */
export function mix(
  spec: Mixer,
  { config, layer: i, weights, options }: MixerPlace,
  x: TfTensor,
  stream: TfTensor,
): TfTensor {
  switch (spec.kind) {
    case 'attention':
      return attention(spec, i, weights, x, options).read
    case 'shared-attention': {
      const left = columnsOf(stream, streamOf(config).shared.get(spec.layer)!)
      const [keys, values] = tf.split(left, 2, 2)
      return sharedAttention(spec, i, weights, x, [keys, values], options)
    }
    case 'short-conv':
      return shortConv(spec, i, weights, x, options)
    case 'gated-delta-net':
      return gatedDeltaNet(spec, i, weights, x, options)
    case 'mamba2':
      return mamba2(spec, i, weights, x, options)
  }
}
