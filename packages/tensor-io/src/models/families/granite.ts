import { llamaLayer } from './blocks.ts'
import type { Family } from './family.ts'

/** Factors of embeddings, residuals, attention and logits. */
export const granite: Family = {
  modelType: 'granite',
  models: 'Granite 3, dense',
  differs: 'factors of embeddings, residuals, attention and logits',
  architecture: 'GraniteForCausalLM',
  gguf: {
    architecture: 'granite',
    permutes: true,
    biases: ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'],
    ropeTensors: ['rope_freqs.weight'],
    keys: {
      embedding_multiplier: 'embedding_scale',
      residual_multiplier: 'residual_scale',
      attention_multiplier: 'attention.scale',
      logits_scaling: 'logit_scale',
    },
  },
  defaults: { embedding_multiplier: 1, residual_multiplier: 1, attention_multiplier: 1, logits_scaling: 1 },
  layer: (c, i) => ({
    ...llamaLayer(c, i, { scale: c.positive('attention_multiplier') }),
    scales: { residual: c.positive('residual_multiplier') },
  }),
  embeddingScale: c => c.positive('embedding_multiplier'),
  logitScale: c => 1 / c.positive('logits_scaling'),
}
