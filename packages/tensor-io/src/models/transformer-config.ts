import type { HuggingFaceConfig } from './config-reader.ts'
import type { Family } from './families/family.ts'
import {
  attentionsOf,
  type LayerSpec,
  type LinearModule,
  type Norm,
  normsOf,
  otherTensors,
  type PerLayerInputs,
  projectionGroups,
} from './layer-spec.ts'

/** A decoder as data, the same for every family and source: embedding, layers, a norm, output head. */
export interface TransformerConfig {
  readonly family: Family
  readonly vocabSize: number
  readonly hiddenSize: number
  /** How many layers there are; `layerSpecs` has them one by one. */
  readonly layers: number
  readonly layerSpecs: readonly LayerSpec[]
  readonly maxPositions: number
  /** Factor of the embeddings. */
  readonly embeddingScale: number
  readonly perLayerInputs?: PerLayerInputs
  /** The norm after the last layer. */
  readonly norm: Norm
  /** The output head is the embedding. */
  readonly tiedHead: boolean
  /** Factor of the logits. */
  readonly logitScale: number
  /** Logits are squashed to ± this many by tanh. */
  readonly logitSoftcap?: number
  readonly bos?: number
  readonly eos: readonly number[]
  /** The `config.json` that all this comes from; for a GGUF, an equivalent one. */
  readonly source: HuggingFaceConfig
}

/**
 * The linear layers of layer `i`, in the order in which the forward pass uses them.
 *
 * @example
 * linearModules(config, 0)[0] // { name: 'model.layers.0.self_attn.q_proj', shape: [576, 576], bias: false }
 */
export function linearModules({ layerSpecs }: TransformerConfig, i: number): LinearModule[] {
  const { mixer, ffn, perLayerInput } = projectionGroups(layerSpecs[i])
  return [...mixer, ...ffn, ...perLayerInput].flat()
}

/** Texts of more positions than this have other rotary embeddings, from their beginning on; Infinity where there is no such. */
export const longRopeBeyond = ({ layerSpecs }: TransformerConfig): number =>
  Math.min(...attentionsOf(layerSpecs).map(({ rope }) => rope?.long?.beyond ?? Number.POSITIVE_INFINITY))

/** Width of the widest input of a linear layer within the layers. */
export function widestInput(config: TransformerConfig): number {
  let widest = 0
  for (let i = 0; i < config.layers; i++) {
    for (const { shape } of linearModules(config, i)) widest = Math.max(widest, shape[1])
  }
  return widest
}

/** Names and shapes of every tensor of layer `i`. */
export function blockTensors(config: TransformerConfig, i: number): Map<string, readonly number[]> {
  const tensors = new Map<string, readonly number[]>()
  for (const { name, shape, bias } of linearModules(config, i)) {
    tensors.set(`${name}.weight`, shape)
    if (bias) tensors.set(`${name}.bias`, [shape[0]])
  }
  const spec = config.layerSpecs[i]
  for (const { name, width } of normsOf(spec)) tensors.set(`${name}.weight`, [width])
  for (const [name, shape] of otherTensors(spec)) tensors.set(name, shape)
  return tensors
}

/** Names and shapes of the tensors outside the layers: embedding, last norm, output head. */
export function embeddingAndHeadTensors(config: TransformerConfig): Map<string, readonly number[]> {
  const matrix = [config.vocabSize, config.hiddenSize]
  const tensors = new Map<string, readonly number[]>([
    ['model.embed_tokens.weight', matrix],
    [`${config.norm.name}.weight`, [config.norm.width]],
  ])
  if (!config.tiedHead) tensors.set('lm_head.weight', matrix)
  if (config.perLayerInputs) {
    const { table, projection, norm } = config.perLayerInputs
    tensors.set(table.name, table.shape)
    tensors.set(`${projection.name}.weight`, projection.shape)
    tensors.set(`${norm.name}.weight`, [norm.width])
  }
  return tensors
}

/** Names and shapes of all tensors of a model. */
export function allTensors(config: TransformerConfig): Map<string, readonly number[]> {
  const blocks = Array.from({ length: config.layers }, (_, i) => [...blockTensors(config, i)])
  return new Map([...embeddingAndHeadTensors(config), ...blocks.flat()])
}
