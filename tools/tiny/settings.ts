/** Everything that makes the embedded model what it is. */
export const specials = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']
export const vocabularySize = 2048

export const chatTemplate =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

/** `config.json` of the embedded model: 2.9 million parameters, no width a multiple of 256. */
const tiny = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: vocabularySize,
  hidden_size: 192,
  intermediate_size: 544,
  num_hidden_layers: 6,
  num_attention_heads: 6,
  num_key_value_heads: 2,
  head_dim: 32,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  hidden_act: 'silu',
  attention_bias: false,
  mlp_bias: false,
  tie_word_embeddings: true,
  bos_token_id: 0,
  eos_token_id: 0,
  pad_token_id: 0,
  torch_dtype: 'bfloat16',
}

/** What one training run does. */
interface Run {
  readonly seed: number
  readonly steps: number
  readonly rows: number
  readonly length: number
  readonly learningRate: number
  readonly warmup: number
  readonly floor: number
  readonly weightDecay: number
  readonly beta2: number
}

/**
 * The models that can be trained: `tiny` is the embedded one, its `steps` set to what 70 minutes of one core and a half
 * allow. `wide` has widths that 256 divides, as GGUF's super-blocks need: it starts from the embedded model and is trained
 * further; benches use it, and nobody ships it.
 */
export const models: Readonly<Record<'tiny' | 'wide', { config: typeof tiny; run: Run }>> = {
  tiny: {
    config: tiny,
    run: {
      seed: 1851,
      steps: 2600,
      rows: 8,
      length: 256,
      learningRate: 2e-3,
      warmup: 150,
      floor: 0.05,
      weightDecay: 0.1,
      beta2: 0.98,
    },
  },
  wide: {
    config: { ...tiny, hidden_size: 256, intermediate_size: 768, num_attention_heads: 8 },
    run: {
      seed: 1851,
      steps: 160,
      rows: 4,
      length: 256,
      learningRate: 1e-3,
      warmup: 10,
      floor: 0.05,
      weightDecay: 0.1,
      beta2: 0.98,
    },
  },
}

/** @throws Error for a name that {@link models} has not */
export function settingsOf(name: string) {
  if (name === 'tiny' || name === 'wide') return models[name]
  throw new Error(`no model ${name}: tiny or wide`)
}
