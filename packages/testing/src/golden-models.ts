import { bf16ToF32, f32ToBf16 } from '@reallm/tensor-io'
import type { TransformerConfig } from '@reallm/tensor-io/models'

/** The folders of golden models. */
export const goldenModels = ['llama-gqa-tied', 'mistral-untied', 'qwen2-bias', 'qwen3-qknorm', 'gemma3-text']

/** The golden models were cast to bfloat16 and back as a whole, rotary frequencies included. */
export function withBf16Frequencies(config: TransformerConfig): TransformerConfig {
  const rounded = (x: readonly number[]) => [...bf16ToF32(f32ToBf16(Float32Array.from(x)))]
  const ropes = config.ropes.map(r => ({ ...r, inverseFrequencies: rounded(r.inverseFrequencies) }))
  return { ...config, ropes }
}
