import { llamaLayer } from './blocks.ts'
import type { Family } from './family.ts'

const gguf = {
  architecture: 'llama',
  permutes: true,
  biases: ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'],
  ropeTensors: ['rope_freqs.weight'],
} as const

export const llama: Family = {
  modelType: 'llama',
  models: 'Llama 2 and 3, SmolLM2',
  differs: 'nothing',
  architecture: 'LlamaForCausalLM',
  gguf,
  layer: (c, i) => llamaLayer(c, i, { window: c.window(i, () => false) }),
}

/** Every layer slides. */
export const mistral: Family = {
  modelType: 'mistral',
  models: 'Mistral 7B',
  differs: 'windows',
  architecture: 'MistralForCausalLM',
  gguf: { ...gguf, windowed: {} },
  defaults: { sliding_window: 4096 },
  layer: (c, i) => llamaLayer(c, i, { window: c.window(i, () => true) }),
}

/** YaRN, and queries that count more far into a text. */
export const ministral3: Family = {
  modelType: 'ministral3',
  models: 'Ministral 3',
  differs: 'YaRN; queries count more far into a text',
  architecture: 'Ministral3ForCausalLM',
  gguf: {
    architecture: 'mistral3',
    permutes: true,
    windowed: {},
    // llama.cpp makes YaRN's magnitude of the multiplier; with one of 1 there is none.
    written: rope => ({
      'rope.scaling.attn_factor': undefined,
      'rope.scaling.yarn_beta_fast': rope.beta_fast,
      'rope.scaling.yarn_beta_slow': rope.beta_slow,
      'rope.scaling.yarn_log_multiplier': rope.mscale_all_dim,
      'attention.temperature_scale': rope.llama_4_scaling_beta,
    }),
    implied: ({ decimal, ropeScaling }) => {
      const mscale = decimal('rope.scaling.yarn_log_multiplier')
      const llama_4_scaling_beta = decimal('attention.temperature_scale')
      return {
        rope_parameters: null,
        rope_scaling: ropeScaling && { ...ropeScaling, mscale, mscale_all_dim: mscale, llama_4_scaling_beta },
      }
    },
  },
  defaults: {
    head_dim: 128,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 262_144,
    rope_parameters: {
      rope_type: 'yarn',
      rope_theta: 1_000_000,
      factor: 16,
      original_max_position_embeddings: 16_384,
      beta_fast: 32,
      beta_slow: 1,
      mscale: 1,
      mscale_all_dim: 1,
      llama_4_scaling_beta: 0.1,
    },
  },
  layer: (c, i) =>
    llamaLayer(c, i, { bias: { qkv: false, out: false }, window: c.window(i, () => true) }, { bias: false }),
}
