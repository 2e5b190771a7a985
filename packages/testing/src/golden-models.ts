import { bf16ToF32, f32ToBf16 } from '@reallm/tensor-io'
import type { Rope, TransformerConfig } from '@reallm/tensor-io/models'

/** The folders of golden models. */
export const goldenModels = ['llama-gqa-tied', 'mistral-untied', 'qwen2-bias', 'qwen3-qknorm', 'gemma3-text']

/** The golden models were cast to bfloat16 and back as a whole, rotary frequencies included. */
export function withBf16Frequencies(config: TransformerConfig): TransformerConfig {
  const rounded = (x: readonly number[]) => [...bf16ToF32(f32ToBf16(Float32Array.from(x)))]
  const ropes = new Map<Rope | undefined, Rope>()
  const layerSpecs = config.layerSpecs.map(spec => {
    const { rope } = spec.mixer
    const made =
      rope && (ropes.get(rope) ?? { ...rope, inverseFrequencies: rounded(rope.inverseFrequencies) })
    if (made) ropes.set(rope, made)
    return { ...spec, mixer: { ...spec.mixer, rope: made } }
  })
  return { ...config, layerSpecs }
}
