import { llamaLayer } from './blocks.ts'
import type { Family } from './family.ts'

const gguf = {
  architecture: 'llama',
  permutes: true,
  biases: ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'],
  ropeFactors: true,
} as const

export const llama: Family = {
  modelType: 'llama',
  architecture: 'LlamaForCausalLM',
  gguf,
  layer: (c, i) => llamaLayer(c, i, { window: c.window(i, () => false) }),
}

/** Every layer slides. */
export const mistral: Family = {
  modelType: 'mistral',
  architecture: 'MistralForCausalLM',
  gguf: { ...gguf, windowed: {} },
  defaults: { sliding_window: 4096 },
  layer: (c, i) => llamaLayer(c, i, { window: c.window(i, () => true) }),
}
