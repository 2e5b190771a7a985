import { ReallmError } from '../core/errors.ts'
import { bf16ToF32, f32ToBf16 } from '../core/float.ts'
import { type Family, families, type HuggingFaceConfig } from './families.ts'
import { type Rope, type RopeParameters, rope } from './rope.ts'

export const activations = ['silu', 'gelu', 'gelu_pytorch_tanh'] as const
export type Activation = (typeof activations)[number]

/** A decoder's dimensions and peculiarities, the same for every family and source. */
export interface TransformerConfig {
  readonly modelType: string
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly intermediateSize: number
  readonly layers: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  readonly normEps: number
  readonly maxPositions: number
  readonly activation: Activation
  /** The output head is the embedding. */
  readonly tiedHead: boolean
  readonly bias: { readonly qkv: boolean; readonly out: boolean; readonly mlp: boolean }
  readonly qkNorm: boolean
  /** Norms behind attention and MLP too. */
  readonly sandwichNorms: boolean
  /** Norms multiply by `normOffset + weight`. */
  readonly normOffset: 0 | 1
  readonly embeddingScale: number
  readonly attentionScale: number
  /** Logits are squashed to ± this many by tanh. */
  readonly attentionSoftcap?: number
  readonly logitSoftcap?: number
  /** Per layer: how many positions back it sees, itself included; undefined for all. */
  readonly windows: readonly (number | undefined)[]
  /** Per layer: its rotary embedding. */
  readonly ropes: readonly Rope[]
  readonly bos?: number
  readonly eos: readonly number[]
  /** The `config.json` that all this comes from; for a GGUF, an equivalent one. */
  readonly source: HuggingFaceConfig
}

/** A linear layer of a block: `y = x Wᵀ (+ bias)`. */
export interface LinearModule {
  readonly name: string
  readonly shape: readonly [out: number, input: number]
  readonly bias: boolean
}

/** The family of a config.json. @throws `unsupported`, listing the known ones */
export function familyOf(source: HuggingFaceConfig): Family {
  const family = families.find(f => f.modelType === source.model_type)
  if (family) return family
  throw new ReallmError(
    'unsupported',
    `the model family ${JSON.stringify(source.model_type ?? null)} is not supported`,
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
  const value = (key: string): unknown => (source[key] === undefined ? family.defaults?.[key] : source[key])
  const count = (key: string, otherwise?: number): number => {
    const n = value(key) ?? otherwise
    if (Number.isSafeInteger(n) && (n as number) > 0) return n as number
    throw new ReallmError(
      'bad-file',
      `config.json: ${key} must be a positive integer, got ${JSON.stringify(n ?? null)}`,
    )
  }
  const number = (key: string): number | undefined => {
    const n = value(key)
    return typeof n === 'number' ? n : undefined
  }
  const layers = count('num_hidden_layers')
  const heads = count('num_attention_heads')
  const hiddenSize = count('hidden_size')
  const kvHeads = count('num_key_value_heads', heads)
  const headDim = count('head_dim', Math.floor(hiddenSize / heads))
  if (heads % kvHeads !== 0) {
    throw new ReallmError('bad-file', `config.json: ${heads} heads cannot share ${kvHeads} key-value heads`)
  }
  if (headDim % 2 !== 0) throw new ReallmError('bad-file', `config.json: head_dim ${headDim} is odd`)
  if ((number('partial_rotary_factor') ?? 1) !== 1) {
    throw new ReallmError('unsupported', 'config.json: partial_rotary_factor other than 1 is not supported')
  }
  const maxPositions = count('max_position_embeddings', 2048)
  const sliding = slidingLayers(family, value, layers)
  const ropes = ropesOf(source, value, headDim, maxPositions)
  const qkv = family.bias?.qkv ?? value('attention_bias') === true
  const gemma = family.gemma ?? false
  const attentionSoftcap = number('attn_logit_softcapping')
  const logitSoftcap = number('final_logit_softcapping')
  const bos = number('bos_token_id')
  return {
    modelType: family.modelType,
    vocabSize: count('vocab_size'),
    hiddenSize,
    intermediateSize: count('intermediate_size'),
    layers,
    heads,
    kvHeads,
    headDim,
    normEps: number('rms_norm_eps') ?? 1e-6,
    maxPositions,
    activation: activationOf(value('hidden_activation') ?? value('hidden_act') ?? 'silu'),
    tiedHead: value('tie_word_embeddings') === true,
    bias: { qkv, out: family.bias?.out ?? qkv, mlp: value('mlp_bias') === true },
    qkNorm: family.qkNorm ?? false,
    sandwichNorms: gemma,
    normOffset: gemma ? 1 : 0,
    embeddingScale: gemma ? roundedTo(value('dtype') ?? value('torch_dtype'), Math.sqrt(hiddenSize)) : 1,
    attentionScale: (gemma ? count('query_pre_attn_scalar') : headDim) ** -0.5,
    ...(attentionSoftcap !== undefined && { attentionSoftcap }),
    ...(logitSoftcap !== undefined && { logitSoftcap }),
    windows: sliding.map(slides => (slides ? count('sliding_window') : undefined)),
    ropes: sliding.map(slides => (slides ? ropes.sliding : ropes.full)),
    ...(bos !== undefined && { bos }),
    eos: tokenIds(value('eos_token_id')),
    source,
  }
}

/** One id, a list of ids or nothing, as a list. */
export const tokenIds = (ids: unknown): number[] =>
  (Array.isArray(ids) ? ids : [ids]).filter((id): id is number => typeof id === 'number')

/** Gemma is trained with its embedding scale in the dtype of its weights. */
const roundedTo = (dtype: unknown, x: number): number =>
  dtype === 'bfloat16' ? bf16ToF32(f32ToBf16(Float32Array.of(x)))[0] : x

function activationOf(name: unknown): Activation {
  const known = activations.find(a => a === (name === 'gelu_new' ? 'gelu_pytorch_tanh' : name))
  if (known) return known
  throw new ReallmError('unsupported', `config.json: the activation ${name} is not supported`, {
    hint: `supported: ${activations.join(', ')}`,
  })
}

type Lookup = (key: string) => unknown

function slidingLayers(family: Family, value: Lookup, layers: number): boolean[] {
  const every = (slides: (i: number) => boolean) => Array.from({ length: layers }, (_, i) => slides(i))
  const hasWindow = typeof value('sliding_window') === 'number'
  const types = value('layer_types')
  if (Array.isArray(types)) {
    if (types.length !== layers) {
      throw new ReallmError(
        'bad-file',
        `config.json: layer_types has ${types.length} entries for ${layers} layers`,
      )
    }
    return every(i => types[i] === 'sliding_attention')
  }
  switch (family.sliding) {
    case 'all':
      return every(() => hasWindow)
    case 'configured': {
      const first = (value('max_window_layers') as number | undefined) ?? layers
      return every(i => hasWindow && value('use_sliding_window') === true && i >= first)
    }
    case 'pattern':
      return every(i => hasWindow && (i + 1) % (value('sliding_window_pattern') as number) !== 0)
    default:
      return every(() => false)
  }
}

/** transformers 5 has `rope_parameters`, flat or per layer type; 4 has `rope_theta` and `rope_scaling`. */
function ropesOf(source: HuggingFaceConfig, value: Lookup, headDim: number, maxPositions: number) {
  type Given = Partial<RopeParameters> & { type?: string }
  const make = (given: Given, theta: unknown): Rope => {
    const rope_theta = given.rope_theta ?? theta
    if (typeof rope_theta !== 'number' || rope_theta <= 0) {
      throw new ReallmError(
        'bad-file',
        `config.json: rope_theta must be a positive number, got ${rope_theta}`,
      )
    }
    const rope_type = given.rope_type ?? given.type ?? 'default'
    return rope({ ...given, rope_theta, rope_type }, headDim, maxPositions)
  }
  const given = source.rope_parameters as (Given & Record<string, Given>) | undefined
  if (given?.full_attention) {
    const full = make(given.full_attention, undefined)
    return { full, sliding: given.sliding_attention ? make(given.sliding_attention, undefined) : full }
  }
  const full = make(given ?? (source.rope_scaling as Given | null) ?? {}, value('rope_theta') ?? 10_000)
  const local = value('rope_local_base_freq')
  return { full, sliding: typeof local === 'number' ? make({}, local) : full }
}

/**
 * The linear layers of block `i`, in the order in which the forward pass uses them.
 *
 * @example
 * linearModules(config, 0)[0] // { name: 'model.layers.0.self_attn.q_proj', shape: [576, 576], bias: false }
 */
export function linearModules(config: TransformerConfig, i: number): LinearModule[] {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim, bias } = config
  const module = (name: string, out: number, input: number, bias: boolean): LinearModule => ({
    name: `model.layers.${i}.${name}`,
    shape: [out, input],
    bias,
  })
  return [
    module('self_attn.q_proj', heads * headDim, hiddenSize, bias.qkv),
    module('self_attn.k_proj', kvHeads * headDim, hiddenSize, bias.qkv),
    module('self_attn.v_proj', kvHeads * headDim, hiddenSize, bias.qkv),
    module('self_attn.o_proj', hiddenSize, heads * headDim, bias.out),
    module('mlp.gate_proj', intermediateSize, hiddenSize, bias.mlp),
    module('mlp.up_proj', intermediateSize, hiddenSize, bias.mlp),
    module('mlp.down_proj', hiddenSize, intermediateSize, bias.mlp),
  ]
}

/** Names and shapes of every tensor of block `i`. */
export function blockTensors(config: TransformerConfig, i: number): Map<string, readonly number[]> {
  const tensors = new Map<string, readonly number[]>()
  for (const { name, shape, bias } of linearModules(config, i)) {
    tensors.set(`${name}.weight`, shape)
    if (bias) tensors.set(`${name}.bias`, [shape[0]])
  }
  const norms = ['input_layernorm', 'post_attention_layernorm']
  if (config.sandwichNorms) norms.push('pre_feedforward_layernorm', 'post_feedforward_layernorm')
  for (const norm of norms) tensors.set(`model.layers.${i}.${norm}.weight`, [config.hiddenSize])
  if (config.qkNorm) {
    for (const norm of ['q_norm', 'k_norm']) {
      tensors.set(`model.layers.${i}.self_attn.${norm}.weight`, [config.headDim])
    }
  }
  return tensors
}

/** Names and shapes of the tensors outside the blocks: embedding, last norm, output head. */
export function outerTensors(config: TransformerConfig): Map<string, readonly number[]> {
  const matrix = [config.vocabSize, config.hiddenSize]
  const tensors = new Map<string, readonly number[]>([
    ['model.embed_tokens.weight', matrix],
    ['model.norm.weight', [config.hiddenSize]],
  ])
  if (!config.tiedHead) tensors.set('lm_head.weight', matrix)
  return tensors
}

/** Names and shapes of all tensors of a model. */
export function allTensors(config: TransformerConfig): Map<string, readonly number[]> {
  const blocks = Array.from({ length: config.layers }, (_, i) => [...blockTensors(config, i)])
  return new Map([...outerTensors(config), ...blocks.flat()])
}
