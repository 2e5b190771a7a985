import type { TransformerConfig } from '@reallm/tensor-io/models'
import { type TfTensor, tf } from './tf.ts'

/** Columns of the stream. */
interface Columns {
  readonly at: number
  readonly width: number
}

/**
 * What goes from layer to layer, `[batch, positions, width]`: the hidden states, and behind them what layers read beside:
 * their part of the per-layer inputs, and keys and values that an earlier layer leaves for them.
 */
export interface Stream {
  readonly width: number
  readonly hidden: Columns
  /** Of all layers. */
  readonly inputs: Columns
  /** Keys, then values, `kvHeads · headDim` each, of layers that others share them with. */
  readonly shared: ReadonlyMap<number, Columns>
}

const known = new WeakMap<TransformerConfig, Stream>()

export function streamOf(config: TransformerConfig): Stream {
  const found = known.get(config)
  if (found) return found
  const { hiddenSize, layers, layerSpecs, perLayerInputs } = config
  const hidden = { at: 0, width: hiddenSize }
  const inputs = { at: hiddenSize, width: layers * (perLayerInputs?.width ?? 0) }
  const shared = new Map<number, Columns>()
  let width = inputs.at + inputs.width
  for (const { mixer } of layerSpecs) {
    if (mixer.kind !== 'shared-attention' || shared.has(mixer.layer)) continue
    const own = { at: width, width: 2 * mixer.kvHeads * mixer.headDim }
    shared.set(mixer.layer, own)
    width += own.width
  }
  const made = { width, hidden, inputs, shared }
  known.set(config, made)
  return made
}

/** How wide the stream is: as the hidden states, in most models. */
export const streamWidth = (config: TransformerConfig): number => streamOf(config).width

/** Some columns of the stream. */
export function columnsOf(x: TfTensor, { at, width }: Columns): TfTensor {
  const [batch, length, all] = x.shape as [number, number, number]
  return at === 0 && width === all ? x : x.slice([0, 0, at], [batch, length, width])
}

/** The stream with some columns replaced. */
export function withColumns(x: TfTensor, { at, width }: Columns, values: TfTensor): TfTensor {
  const all = x.shape[2]!
  if (at === 0 && width === all) return values
  const before = at > 0 ? [columnsOf(x, { at: 0, width: at })] : []
  const end = at + width
  const after = end < all ? [columnsOf(x, { at: end, width: all - end })] : []
  return tf.concat([...before, values, ...after], 2)
}

/** The hidden states of a stream. */
export const hiddenOf = (config: TransformerConfig, x: TfTensor): TfTensor =>
  columnsOf(x, streamOf(config).hidden)
