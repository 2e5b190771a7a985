import { experts, llamaLayer } from './blocks.ts'
import type { Family } from './family.ts'

/** Every other layer slides; heads have sinks; mixtures of experts that are stacked, with biases and gates cut off. */
export const gptOss: Family = {
  modelType: 'gpt_oss',
  models: 'gpt-oss',
  differs: 'mixtures of experts with biases and clamped gates; attention sinks; every other layer slides',
  architecture: 'GptOssForCausalLM',
  gguf: {
    architecture: 'gpt-oss',
    biases: [
      ...['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate_inp'],
      ...['ffn_gate_exps', 'ffn_up_exps', 'ffn_down_exps'],
    ],
    norms: { beforeExperts: 'post_attention_norm' },
    windows: 'all',
    windowed: {},
    implied: ({ ropeScaling }) => ({ rope_scaling: ropeScaling && { ...ropeScaling, truncate: false } }),
  },
  defaults: {
    attention_bias: true,
    head_dim: 64,
    rms_norm_eps: 1e-5,
    rope_theta: 150_000,
    sliding_window: 128,
    swiglu_alpha: 1.702,
    swiglu_limit: 7,
    max_position_embeddings: 131_072,
    rope_scaling: {
      rope_type: 'yarn',
      factor: 32,
      beta_fast: 32,
      beta_slow: 1,
      truncate: false,
      original_max_position_embeddings: 4096,
    },
  },
  layer(c, i) {
    const layer = llamaLayer(c, i, { sinks: true, window: c.window(i, i => i % 2 === 0) })
    const ffn = experts(c, i, {
      count: c.experts('num_local_experts', 'num_experts'),
      chosen: c.count('num_experts_per_tok', 4),
      softmaxOver: 'chosen',
      router: { name: 'mlp.router', bias: true },
      expert: {
        bias: true,
        clamp: { alpha: c.positive('swiglu_alpha'), limit: c.positive('swiglu_limit') },
      },
      stacks: [stack(['gate', 'up'], 'gate_up_proj'), stack(['down'], 'down_proj')],
    })
    return { ...layer, ffn }
  },
}

const stack = (parts: readonly ('gate' | 'up' | 'down')[], name: string) => ({
  parts,
  weight: `mlp.experts.${name}`,
  bias: `mlp.experts.${name}_bias`,
  transposed: true,
  interleaved: true,
})
