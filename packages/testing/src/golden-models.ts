import { bf16ToF32, f32ToBf16 } from '@reallm/tensor-io'
import type { Rope, TransformerConfig } from '@reallm/tensor-io/models'

/** Golden models that were cast to bfloat16 and back as a whole, rotary frequencies included. */
const castWhole = ['llama-gqa-tied', 'mistral-untied', 'qwen2-bias', 'qwen3-qknorm', 'gemma3-text']

/** The folders of golden models, one or more of each family. */
export const goldenModels = [
  ...castWhole,
  'smollm3',
  'ernie4_5',
  'granite',
  'phi3',
  'olmo2',
  'olmo3',
  'ministral3',
  'gemma2',
  'hunyuan_v1_dense',
  'exaone4',
  'qwen3_moe',
  'gpt_oss',
  'gemma4_text',
  'lfm2',
  'granitemoehybrid',
  'qwen3_5_text',
]

/** Those that GGUF can hold: llama.cpp has no windows for Mistral, and for EXAONE only in a model of 64 layers. */
export const goldenModelsInGguf = goldenModels.filter(name => !['mistral-untied', 'exaone4'].includes(name))

/**
 * Golden models by what tests hold of them. The suites go through these lists, and so does the table of families in the
 * docs: a model that a suite leaves out has no mark there.
 */
export const goldenTests = {
  /** Opened from a Hugging Face directory, alone and inside a multimodal checkpoint. */
  huggingface: goldenModels,
  /** Logits, hidden states, loss and greedy tokens are the reference's. */
  eval: goldenModels,
  /** So are the gradients of the loss. */
  gradients: goldenModels,
  /** Converted to GGUF, read back, and computed by llama.cpp. */
  gguf: goldenModelsInGguf,
  /** Logits and greedy tokens of the runtime. */
  runtime: goldenModels,
  /** Every linear matrix compressed, the artifact run. */
  compress: goldenModels,
  /** Adapters trained on every projection. */
  finetune: goldenModels,
} as const

/** The configuration that a golden model was computed with. */
export const goldenConfig = (name: string, config: TransformerConfig): TransformerConfig =>
  castWhole.includes(name) ? withBf16Frequencies(config) : config

function withBf16Frequencies(config: TransformerConfig): TransformerConfig {
  const rounded = (x: readonly number[]) => [...bf16ToF32(f32ToBf16(Float32Array.from(x)))]
  const ropes = new Map<Rope | undefined, Rope>()
  const layerSpecs = config.layerSpecs.map(spec => {
    const { mixer } = spec
    if (mixer.kind !== 'attention') return spec
    const { rope } = mixer
    const made =
      rope && (ropes.get(rope) ?? { ...rope, inverseFrequencies: rounded(rope.inverseFrequencies) })
    if (made) ropes.set(rope, made)
    return { ...spec, mixer: { ...mixer, rope: made } }
  })
  return { ...config, layerSpecs }
}
