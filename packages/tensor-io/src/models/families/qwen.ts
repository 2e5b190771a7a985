import type { ConfigReader, HuggingFaceConfig } from '../config-reader.ts'
import { attention, experts, gatedMlp, llamaLayer, norms, normsBefore } from './blocks.ts'
import type { Family, GgufLookup } from './family.ts'
import { gatedDeltaNet } from './recurrent.ts'

/** The last layers slide, if any. */
const window = (c: ConfigReader, i: number) =>
  c.window(i, i => c.flag('use_sliding_window') && i >= (c.number('max_window_layers') ?? c.layers))

/** All layers slide in a file that has a window. */
const windowed = { use_sliding_window: true, max_window_layers: 0 }

export const qwen2: Family = {
  modelType: 'qwen2',
  models: 'Qwen2, Qwen2.5',
  differs: 'biases of q, k and v',
  architecture: 'Qwen2ForCausalLM',
  gguf: { architecture: 'qwen2', biases: ['attn_q', 'attn_k', 'attn_v'], headsFill: true, windowed },
  layer: (c, i) => llamaLayer(c, i, { bias: { qkv: true, out: false }, window: window(c, i) }),
}

export const qwen3: Family = {
  modelType: 'qwen3',
  models: 'Qwen3, dense',
  differs: 'norms of queries and keys',
  architecture: 'Qwen3ForCausalLM',
  gguf: { architecture: 'qwen3', windowed },
  defaults: { head_dim: 128 },
  layer: (c, i) => llamaLayer(c, i, { qkNorm: { over: 'head' }, window: window(c, i) }),
}

const kinds = { linear_attention: 'delta', full_attention: 'attention' } as const

/** Pairs of a head that turn by the places of images in time, height and width; by those of texts, all alike. */
const defaultSections = [11, 11, 10]

/** llama.cpp reads four numbers. */
const fourSections = (sections: readonly number[]) =>
  [0, 1, 2, 3].map(i => (Number.isSafeInteger(sections[i]) ? sections[i] : 0))

function deltaOf({ number, optional, headDim }: GgufLookup): HuggingFaceConfig {
  const heads = number('ssm.time_step_rank')
  return {
    // Layers that guess further tokens come last, and are not run.
    num_hidden_layers: number('block_count') - (optional('nextn_predict_layers') ?? 0),
    partial_rotary_factor: (optional('rope.dimension_count') ?? headDim) / headDim,
    full_attention_interval: optional('full_attention_interval') ?? 4,
    linear_conv_kernel_dim: number('ssm.conv_kernel'),
    linear_num_key_heads: number('ssm.group_count'),
    linear_num_value_heads: heads,
    linear_key_head_dim: number('ssm.state_size'),
    linear_value_head_dim: number('ssm.inner_size') / heads,
  }
}

/** Three layers of the gated delta rule, then one that attends through a gate. */
export const qwen35: Family = {
  modelType: 'qwen3_5_text',
  models: 'Qwen3.5, dense',
  differs: 'the gated delta rule in three of four layers; gated attention; partial rotary embedding',
  architecture: 'Qwen3_5ForCausalLM',
  gguf: {
    architecture: 'qwen35',
    biases: ['ssm_dt'],
    norms: { beforeMlp: 'post_attention_norm' },
    written: ({ mrope_section = defaultSections }, c) => ({
      full_attention_interval: { type: 'uint32', value: c.count('full_attention_interval') },
      'rope.dimension_sections': { type: 'int32', value: fourSections(mrope_section) },
    }),
    implied: deltaOf,
  },
  defaults: {
    head_dim: 256,
    partial_rotary_factor: 0.25,
    max_position_embeddings: 32_768,
    full_attention_interval: 4,
    linear_conv_kernel_dim: 4,
    linear_key_head_dim: 128,
    linear_value_head_dim: 128,
    linear_num_key_heads: 16,
    linear_num_value_heads: 32,
  },
  rope: { partial: true },
  // The precision of states, and layers that guess further tokens.
  ignores: ['mamba_ssm_dtype', 'mtp_num_hidden_layers', 'mtp_use_dedicated_embeddings'],
  layer(c, i) {
    const period = c.count('full_attention_interval')
    const kind = c.layerKind(i, kinds, i => ((i + 1) % period === 0 ? 'attention' : 'delta'))
    return {
      mixer:
        kind === 'delta'
          ? gatedDeltaNet(c, i)
          : attention(c, i, { qkNorm: { over: 'head', offset: 1 }, gated: true }),
      ffn: gatedMlp(c, i, { bias: false }),
      norms: norms(c, i, normsBefore, 1),
      scales: { residual: 1 },
    }
  },
}

/** Layers that are no mixture of experts: those listed, and all except every so manyth. */
const isDense = (c: ConfigReader, i: number) => {
  const listed = c.value('mlp_only_layers')
  return (Array.isArray(listed) && listed.includes(i)) || (i + 1) % c.count('decoder_sparse_step') !== 0
}

export const qwen3Moe: Family = {
  modelType: 'qwen3_moe',
  models: 'Qwen3, mixtures of experts',
  differs: 'as Qwen3; mixtures of experts',
  architecture: 'Qwen3MoeForCausalLM',
  gguf: { architecture: 'qwen3moe', windowed, implied: () => ({ norm_topk_prob: true }) },
  defaults: { head_dim: 128, decoder_sparse_step: 1 },
  layer(c, i) {
    const layer = qwen3.layer(c, i)
    if (isDense(c, i)) return layer
    const ffn = experts(c, i, {
      count: c.experts('num_experts', 'num_local_experts'),
      chosen: c.count('num_experts_per_tok', 8),
      softmaxOver: c.flag('norm_topk_prob') ? 'chosen' : 'all',
      router: { name: 'mlp.gate' },
      expert: { width: c.count('moe_intermediate_size'), bias: false },
    })
    return { ...layer, ffn }
  },
}
