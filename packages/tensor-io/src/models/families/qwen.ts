import type { ConfigReader } from '../config-reader.ts'
import { attention, experts, gatedMlp, llamaLayer, norms, normsBefore } from './blocks.ts'
import type { Family } from './family.ts'
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

/** Three layers of the gated delta rule, then one that attends through a gate. */
export const qwen35: Family = {
  modelType: 'qwen3_5_text',
  models: 'Qwen3.5, dense',
  differs: 'the gated delta rule in three of four layers; gated attention; partial rotary embedding',
  architecture: 'Qwen3_5ForCausalLM',
  gguf: { architecture: 'qwen35' },
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
