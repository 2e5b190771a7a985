/** Contents of a Hugging Face `config.json`. */
export type HuggingFaceConfig = Readonly<Record<string, unknown>>

/** What sets a model family apart from Llama. A new family is one entry here. */
export interface Family {
  /** `model_type` of its config.json. */
  readonly modelType: string
  readonly architecture: string
  /** `general.architecture` of its GGUF files. */
  readonly gguf: string
  /** llama.cpp stores the rows of q and k pairwise interleaved. */
  readonly ggufPermutes?: boolean
  /** Values of absent keys in config.json, where they aren't Llama's. */
  readonly defaults?: HuggingFaceConfig
  readonly bias?: { readonly qkv: boolean; readonly out: boolean }
  /** RMS norm over each head of q and k. */
  readonly qkNorm?: boolean
  /** Norms behind attention and MLP too, and weights that multiply as `1 + w`; embeddings times √width. */
  readonly gemma?: boolean
  /** Which layers see only a window: all that have one, as configured, or all but every n-th. */
  readonly sliding?: 'all' | 'configured' | 'pattern'
}

export const families: readonly Family[] = [
  { modelType: 'llama', architecture: 'LlamaForCausalLM', gguf: 'llama', ggufPermutes: true },
  {
    modelType: 'mistral',
    architecture: 'MistralForCausalLM',
    gguf: 'llama',
    ggufPermutes: true,
    sliding: 'all',
    defaults: { sliding_window: 4096 },
  },
  {
    modelType: 'qwen2',
    architecture: 'Qwen2ForCausalLM',
    gguf: 'qwen2',
    bias: { qkv: true, out: false },
    sliding: 'configured',
  },
  {
    modelType: 'qwen3',
    architecture: 'Qwen3ForCausalLM',
    gguf: 'qwen3',
    qkNorm: true,
    sliding: 'configured',
    defaults: { head_dim: 128 },
  },
  {
    modelType: 'gemma3_text',
    architecture: 'Gemma3ForCausalLM',
    gguf: 'gemma3',
    qkNorm: true,
    gemma: true,
    sliding: 'pattern',
    defaults: {
      tie_word_embeddings: true,
      hidden_activation: 'gelu_pytorch_tanh',
      head_dim: 256,
      query_pre_attn_scalar: 256,
      rope_theta: 1_000_000,
      rope_local_base_freq: 10_000,
      sliding_window: 4096,
      sliding_window_pattern: 6,
      max_position_embeddings: 131_072,
    },
  },
]
