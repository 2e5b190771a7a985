import { llamaLayer } from './blocks.ts'
import type { Family } from './family.ts'

/** Rotary pairs of neighbours; one setting for all biases. */
export const ernie45: Family = {
  modelType: 'ernie4_5',
  models: 'ERNIE 4.5, dense',
  differs: 'rotary pairs of neighbours',
  architecture: 'Ernie4_5ForCausalLM',
  gguf: { architecture: 'ernie4_5', biases: ['attn_q', 'attn_k', 'attn_v'] },
  defaults: {
    rope_theta: 500_000,
    head_dim: 128,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 131_072,
    tie_word_embeddings: true,
  },
  rope: { interleaved: true },
  layer(c, i) {
    const bias = c.flag('use_bias')
    return llamaLayer(c, i, { bias: { qkv: bias, out: bias } }, { bias })
  },
}
