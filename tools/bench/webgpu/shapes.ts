import type { HuggingFaceConfig } from '../../../packages/tensor-io/src/models/index.ts'

const llama = {
  model_type: 'llama',
  rms_norm_eps: 1e-5,
  hidden_act: 'silu',
  bos_token_id: 1,
  eos_token_id: 2,
}

const shapes = {
  smollm2: {
    ...{ hidden_size: 576, intermediate_size: 1536, num_hidden_layers: 30, vocab_size: 49152 },
    ...{ num_attention_heads: 9, num_key_value_heads: 3, tie_word_embeddings: true, rope_theta: 100_000 },
    max_position_embeddings: 8192,
  },
  '7b': {
    ...{ hidden_size: 4096, intermediate_size: 14_336, num_hidden_layers: 32, vocab_size: 32_768 },
    ...{ num_attention_heads: 32, num_key_value_heads: 8, tie_word_embeddings: false, rope_theta: 1_000_000 },
    max_position_embeddings: 32_768,
  },
} as const
export type ShapeName = keyof typeof shapes
export const shapeNames = Object.keys(shapes) as ShapeName[]

/** The `config.json` of a model of that shape, of fewer layers where told. */
export const configOf = (
  name: ShapeName,
  layers: number = shapes[name].num_hidden_layers,
): HuggingFaceConfig => ({ ...llama, ...shapes[name], num_hidden_layers: layers })
