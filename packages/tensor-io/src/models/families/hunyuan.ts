import { llamaLayer } from './blocks.ts'
import type { Family } from './family.ts'

/** Norms of queries and keys after their rotary embedding. */
export const hunyuanDense: Family = {
  modelType: 'hunyuan_v1_dense',
  models: 'Hunyuan, dense',
  differs: 'norms of queries and keys after their rotary embedding',
  architecture: 'HunYuanDenseV1ForCausalLM',
  gguf: { architecture: 'hunyuan-dense' },
  defaults: { rms_norm_eps: 1e-5 },
  layer: (c, i) =>
    llamaLayer(
      c,
      i,
      {
        qkNorm: {
          over: 'head',
          names: ['self_attn.query_layernorm', 'self_attn.key_layernorm'],
          afterRope: true,
        },
      },
      { bias: false },
    ),
}
