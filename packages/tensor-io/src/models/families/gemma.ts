import { bf16ToF32, f32ToBf16 } from '../../core/float.ts'
import type { ConfigReader, HuggingFaceConfig } from '../config-reader.ts'
import { type AttentionOptions, attention, gatedMlp, norms, sandwichNorms } from './blocks.ts'
import type { Family, GgufLookup } from './family.ts'

const layer = (c: ConfigReader, i: number, options: AttentionOptions) => ({
  mixer: attention(c, i, { ...options, scale: c.count('query_pre_attn_scalar') ** -0.5 }),
  ffn: gatedMlp(c, i, { bias: false }),
  norms: norms(c, i, sandwichNorms, 1),
  scales: { residual: 1 },
})

/** The square root of the width, in the dtype of the weights: Gemma is trained with it. */
export function embeddingScale(c: ConfigReader): number {
  const scale = Math.sqrt(c.count('hidden_size'))
  const dtype = c.value('dtype') ?? c.value('torch_dtype')
  return dtype === 'bfloat16' ? bf16ToF32(f32ToBf16(Float32Array.of(scale)))[0] : scale
}

/** The dtype of weights whose embedding has this factor. */
export const scaledIn = (width: number, scale: number | undefined): string =>
  scale === Math.fround(Math.sqrt(width)) ? 'float32' : 'bfloat16'

/** Only the 27B model of each generation, of so many layers, scales by its width. */
const impliedBy = ({ number, optional, headDim }: GgufLookup, layersOf27B: number): HuggingFaceConfig => ({
  hidden_activation: 'gelu_pytorch_tanh',
  dtype: scaledIn(number('embedding_length'), optional('embedding_scale')),
  query_pre_attn_scalar:
    number('block_count') === layersOf27B
      ? number('embedding_length') / number('attention.head_count')
      : headDim,
})

/** Every other layer slides; scores and logits are squashed. */
export const gemma2: Family = {
  modelType: 'gemma2',
  models: 'Gemma 2',
  differs: 'norms before and after sublayers; soft caps; every other layer slides',
  architecture: 'Gemma2ForCausalLM',
  gguf: {
    architecture: 'gemma2',
    windows: 'all',
    keys: {
      attn_logit_softcapping: 'attn_logit_softcapping',
      final_logit_softcapping: 'final_logit_softcapping',
    },
    windowed: {},
    implied: metadata => impliedBy(metadata, 46),
  },
  defaults: {
    tie_word_embeddings: true,
    hidden_activation: 'gelu_pytorch_tanh',
    head_dim: 256,
    query_pre_attn_scalar: 256,
    sliding_window: 4096,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
    max_position_embeddings: 8192,
  },
  layer: (c, i) =>
    layer(c, i, {
      softcap: c.number('attn_logit_softcapping'),
      window: c.window(i, i => i % 2 === 0),
    }),
  embeddingScale,
}

/** All layers slide except every sixth, which has a rotary embedding of its own. */
export const gemma3: Family = {
  modelType: 'gemma3_text',
  models: 'Gemma 3, text',
  differs: 'norms before and after sublayers, of queries and keys; five of six layers slide',
  architecture: 'Gemma3ForCausalLM',
  gguf: {
    architecture: 'gemma3',
    windows: 'own',
    keys: { final_logit_softcapping: 'final_logit_softcapping' },
    windowed: {},
    implied: metadata => ({
      ...impliedBy(metadata, 62),
      rope_local_base_freq: metadata.optional('rope.freq_base_swa') ?? 10_000,
    }),
  },
  defaults: {
    tie_word_embeddings: true,
    hidden_activation: 'gelu_pytorch_tanh',
    // multimodal models leave out what is so
    vocab_size: 262_208,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    query_pre_attn_scalar: 256,
    rope_theta: 1_000_000,
    rope_local_base_freq: 10_000,
    sliding_window: 4096,
    sliding_window_pattern: 6,
    max_position_embeddings: 131_072,
  },
  layer: (c, i) =>
    layer(c, i, {
      qkNorm: { over: 'head', offset: 1 },
      softcap: c.number('attn_logit_softcapping'),
      window: c.window(i, i => (i + 1) % c.count('sliding_window_pattern') !== 0),
    }),
  embeddingScale,
}
