import { ReallmError } from '../../core/errors.ts'
import type { GgufValue } from '../../formats/gguf/values.ts'
import type { ConfigReader, HuggingFaceConfig } from '../config-reader.ts'
import { type Attention, mlpsOf, type SharedAttention } from '../layer-spec.ts'
import { attention, gatedMlp, linear, nameOf, norms, sandwichNorms, sharedAttention } from './blocks.ts'
import type { Family, GgufLookup } from './family.ts'
import { embeddingScale, scaledIn } from './gemma.ts'

/** All layers slide except every sixth, and the last. */
const slides = (c: ConfigReader, i: number) =>
  i !== c.layers - 1 &&
  c.layerKind(i, { sliding_attention: 'slides', full_attention: 'all' } as const, i =>
    (i + 1) % 6 === 0 ? 'all' : 'slides',
  ) === 'slides'

/** The first layer that shares keys and values with an earlier one. */
const firstShared = (c: ConfigReader) => c.layers - (c.number('num_kv_shared_layers') ?? 0)

/** The layer whose keys and values a layer shares: the last of its kind that has its own. */
function sourceOf(c: ConfigReader, i: number): number {
  for (let source = firstShared(c) - 1; source >= 0; source--) {
    if (slides(c, source) === slides(c, i)) return source
  }
  throw new ReallmError('bad-file', `config.json: layer ${i} has no layer to share keys and values with`)
}

/** A setting of layer `i`: in `per_layer_config`, else, of layers that do not slide, under a key of their own. */
function ofLayer(
  c: ConfigReader,
  i: number,
  key: 'head_dim' | 'num_key_value_heads',
  globally: string,
): number {
  const perLayer = c.value('per_layer_config')
  const own = Object(Object(perLayer)[i])[key]
  if (own !== undefined || perLayer != null || slides(c, i))
    return positive(`${key} of layer ${i}`, own ?? c.value(key))
  return positive(globally, c.value(globally) ?? c.value(key))
}

function positive(key: string, value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) > 0) return value as number
  throw new ReallmError(
    'bad-file',
    `config.json: ${key} must be a positive integer, got ${JSON.stringify(value)}`,
  )
}

const whole = (value: number | number[]): GgufValue => ({ type: 'uint32', value })

/** Numbers of all layers: one where they are alike. */
const oneOrAll = (values: number[]) => whole(values.every(v => v === values[0]) ? values[0] : values)

function writtenIn(c: ConfigReader): Record<string, GgufValue> {
  const layers = Array.from({ length: c.layers }, (_, i) => gemma4.layer(c, i))
  const attentions = layers.map(({ mixer }) => mixer as Attention | SharedAttention)
  const sliding = attentions.find(({ window }) => window !== undefined) ?? attentions[0]
  return {
    'attention.key_length_swa': whole(sliding.headDim),
    'attention.value_length_swa': whole(sliding.headDim),
    'rope.dimension_count_swa': whole(sliding.headDim),
    'attention.head_count_kv': oneOrAll(attentions.map(({ kvHeads }) => kvHeads)),
    'attention.shared_kv_layers': whole(c.layers - firstShared(c)),
    embedding_length_per_layer_input: whole(c.number('hidden_size_per_layer_input') ?? 0),
    feed_forward_length: oneOrAll(layers.map(({ ffn }) => mlpsOf(ffn)[0].width)),
  }
}

function impliedBy({ number, optional, list, has, headDim, ropeScaling }: GgufLookup): HuggingFaceConfig {
  const pattern = list('attention.sliding_window_pattern')
  const widths = list('feed_forward_length')
  const kvHeads = list('attention.head_count_kv')
  const width = optional('attention.key_length_swa') ?? headDim
  optional('attention.value_length_swa')
  optional('rope.dimension_count_swa')
  const perLayer = pattern?.map((slides, i) => [
    i,
    { head_dim: slides ? width : headDim, ...(kvHeads && { num_key_value_heads: kvHeads[i] }) },
  ])
  return {
    hidden_activation: 'gelu_pytorch_tanh',
    dtype: scaledIn(number('embedding_length'), optional('embedding_scale')),
    head_dim: width,
    ...(perLayer && { per_layer_config: Object.fromEntries(perLayer) }),
    global_head_dim: headDim,
    attention_k_eq_v: pattern !== undefined && !has(`${pattern.indexOf(0)}.attn_v.weight`),
    num_kv_shared_layers: optional('attention.shared_kv_layers') ?? 0,
    hidden_size_per_layer_input: optional('embedding_length_per_layer_input') ?? 0,
    ...(widths && {
      intermediate_size: Math.min(...widths),
      use_double_wide_mlp: Math.max(...widths) > Math.min(...widths),
    }),
    rope_scaling: null,
    rope_parameters: {
      sliding_attention: { rope_type: 'default', rope_theta: optional('rope.freq_base_swa') ?? 10_000 },
      full_attention: { rope_type: 'default', ...ropeScaling, rope_theta: number('rope.freq_base') },
    },
  }
}

/** Per-layer inputs, keys and values of an earlier layer, two head sizes, layer scalars. */
export const gemma4: Family = {
  modelType: 'gemma4_text',
  models: 'Gemma 4, text',
  differs:
    'a second embedding of the tokens for each layer; layers that share keys and values; two head sizes; norms of values; a factor of each layer',
  architecture: 'Gemma4ForCausalLM',
  gguf: {
    architecture: 'gemma4',
    windows: 'own',
    windowed: {},
    ropeTensors: ['rope_freqs.weight'],
    keys: { final_logit_softcapping: 'final_logit_softcapping' },
    written: (_, c) => writtenIn(c),
    implied: impliedBy,
  },
  defaults: {
    tie_word_embeddings: true,
    hidden_activation: 'gelu_pytorch_tanh',
    vocab_size: 262_144,
    hidden_size_per_layer_input: 256,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    global_head_dim: 512,
    sliding_window: 512,
    max_position_embeddings: 131_072,
    rope_parameters: {
      sliding_attention: { rope_type: 'default', rope_theta: 10_000 },
      full_attention: { rope_type: 'proportional', rope_theta: 1_000_000, partial_rotary_factor: 0.25 },
    },
  },
  layer(c, i) {
    if (c.flag('enable_moe_block')) {
      throw new ReallmError('unsupported', 'config.json: enable_moe_block is not supported', {
        hint: 'open a dense Gemma 4',
      })
    }
    const sliding = slides(c, i)
    const keysAreValues = c.flag('attention_k_eq_v') && !sliding
    const headDim = ofLayer(c, i, 'head_dim', 'global_head_dim')
    const kvHeads = keysAreValues
      ? ofLayer(c, i, 'num_key_value_heads', 'num_global_key_value_heads')
      : ofLayer(c, i, 'num_key_value_heads', 'num_key_value_heads')
    const options = {
      ...{ headDim, kvHeads, keysAreValues, scale: 1, valueNormEps: c.eps },
      qkNorm: { over: 'head' },
      window: sliding ? c.count('sliding_window') : undefined,
    } as const
    const isShared = i >= firstShared(c)
    const wide = c.flag('use_double_wide_mlp') && isShared
    const perLayer = c.number('hidden_size_per_layer_input') ?? 0
    const hidden = c.count('hidden_size')
    const norm = {
      name: nameOf(i, 'post_per_layer_input_norm'),
      width: hidden,
      eps: c.eps,
      offset: 0,
    } as const
    return {
      mixer: isShared ? sharedAttention(c, i, sourceOf(c, i), options) : attention(c, i, options),
      ffn: gatedMlp(c, i, { bias: false, width: (wide ? 2 : 1) * c.count('intermediate_size') }),
      norms: norms(c, i, sandwichNorms),
      scales: { residual: 1, layer: { name: nameOf(i, 'layer_scalar'), shape: [1] } },
      ...(perLayer > 0 && {
        perLayerInput: {
          activation: c.activation,
          gate: linear(nameOf(i, 'per_layer_input_gate'), perLayer, hidden, false),
          projection: linear(nameOf(i, 'per_layer_projection'), hidden, perLayer, false),
          norm,
        },
      }),
    }
  },
  perLayerInputs(c) {
    const width = c.number('hidden_size_per_layer_input') ?? 0
    if (width === 0) return undefined
    const all = c.count('hidden_size_per_layer_input') * c.layers
    return {
      width,
      table: {
        name: 'model.embed_tokens_per_layer.weight',
        shape: [c.count('vocab_size_per_layer_input', c.count('vocab_size')), all],
      },
      projection: linear('model.per_layer_model_projection', all, c.count('hidden_size'), false),
      norm: { name: 'model.per_layer_projection_norm', width, eps: c.eps, offset: 0 },
    }
  },
  embeddingScale,
}
