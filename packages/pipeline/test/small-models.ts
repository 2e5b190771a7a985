/** A Llama of two small layers. */
export const smallLlama = {
  model_type: 'llama',
  architectures: ['LlamaForCausalLM'],
  vocab_size: 64,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  tie_word_embeddings: true,
  torch_dtype: 'float32',
} as const

/** What makes a Gemma 3 of it, with a window of four tokens. */
export const smallGemma = {
  model_type: 'gemma3_text',
  hidden_activation: 'gelu_pytorch_tanh',
  query_pre_attn_scalar: 8,
  sliding_window: 4,
  rope_theta: 1_000_000,
  rope_local_base_freq: 10_000,
} as const
