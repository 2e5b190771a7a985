import { ReallmError } from '../core/errors.ts'
import { ConfigReader, type HuggingFaceConfig } from './config-reader.ts'
import { type Family, families } from './families/index.ts'
import {
  attentionsOf,
  type LayerSpec,
  type LinearModule,
  type Norm,
  normsOf,
  otherTensors,
  type Parameter,
  projectionGroups,
} from './layer-spec.ts'

/** A decoder as data, the same for every family and source: embedding, layers, a norm, output head. */
export interface TransformerConfig {
  readonly modelType: string
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
 * A second embedding of the tokens, `width` values for each layer: those of a table and a projection of the (scaled)
 * embedding, `(norm(projection(x) / √hidden) + √width · table[id]) / √2`.
 */
export interface PerLayerInputs {
  readonly width: number
  /** `[vocabulary, layers · width]` */
  readonly table: Parameter
  readonly projection: LinearModule
  /** Of each layer's values. */
  readonly norm: Norm
}

/** The family of a config.json. @throws `unsupported`, listing the known ones */
export function familyOf(source: HuggingFaceConfig): Family {
  const { model_type } = source
  const family = families.find(f => f.modelType === model_type || f.within?.includes(String(model_type)))
  if (family) return family
  throw new ReallmError(
    'unsupported',
    `config.json: the model family ${JSON.stringify(source.model_type ?? null)} is not supported`,
    {
      hint: `supported model types: ${families.map(f => f.modelType).join(', ')}`,
    },
  )
}

/**
 * Reads a Hugging Face `config.json`, of transformers 4 or 5.
 *
 * @throws `unsupported` for a family, rope type or activation that isn't there, listing those that are
 * @throws `bad-file` for a missing or impossible value, by its key
 * @example
 * const config = parseConfig(JSON.parse(await readFile('config.json', 'utf8')))
 */
export function parseConfig(source: HuggingFaceConfig): TransformerConfig {
  const family = familyOf(source)
  const config = new ConfigReader(source, family)
  const { layers } = config
  const layerSpecs = Array.from({ length: layers }, (_, i) => family.layer(config, i))
  const hiddenSize = config.count('hidden_size')
  const offset = normsOf(layerSpecs[0])[0].offset
  // transformers squashes the logits of families that GGUF knows to do so, and of no others
  const squashes = family.gguf.keys?.final_logit_softcapping !== undefined
  const logitSoftcap = squashes ? config.number('final_logit_softcapping') : undefined
  const bos = config.number('bos_token_id')
  const perLayerInputs = family.perLayerInputs?.(config)
  return {
    modelType: family.modelType,
    vocabSize: config.count('vocab_size'),
    hiddenSize,
    layers,
    layerSpecs,
    maxPositions: config.maxPositions,
    embeddingScale: family.embeddingScale?.(config) ?? 1,
    ...(perLayerInputs && { perLayerInputs }),
    norm: { name: family.lastNorm ?? 'model.norm', width: hiddenSize, eps: config.eps, offset },
    tiedHead: config.flag('tie_word_embeddings'),
    logitScale: family.logitScale?.(config) ?? 1,
    ...(logitSoftcap !== undefined && { logitSoftcap }),
    ...(bos !== undefined && { bos }),
    eos: tokenIds(config.value('eos_token_id')),
    source,
  }
}

/** One id, a list of ids or nothing, as a list. */
export const tokenIds = (ids: unknown): number[] =>
  (Array.isArray(ids) ? ids : [ids]).filter((id): id is number => typeof id === 'number')

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
