import { llamaLayer } from './blocks.ts'
import type { Family } from './family.ts'

/** Fused projections, a rotary embedding of a part of each head, LongRoPE. */
export const phi3: Family = {
  modelType: 'phi3',
  models: 'Phi-3, Phi-4-mini',
  differs: 'fused projections; partial rotary embedding; LongRoPE',
  architecture: 'Phi3ForCausalLM',
  gguf: {
    architecture: 'phi3',
    headsFill: true,
    ropeTensors: ['rope_factors_short.weight', 'rope_factors_long.weight'],
    windowed: {},
    implied: ({ optional, headDim }) => ({
      partial_rotary_factor: (optional('rope.dimension_count') ?? headDim) / headDim,
    }),
  },
  defaults: { rms_norm_eps: 1e-5, max_position_embeddings: 4096 },
  rope: { partial: true },
  layer: (c, i) =>
    llamaLayer(
      c,
      i,
      {
        fused: 'self_attn.qkv_proj',
        bias: { qkv: false, out: false },
        window: c.window(i, () => true),
      },
      { parts: 'mlp.gate_up_proj', bias: false },
    ),
}
