import type { Family } from './family.ts'

export type { Family, GgufFamily } from './family.ts'

/** Every family that models are opened of, by its `model_type`: fetched when a model is of it. */
const families: Readonly<Record<string, () => Promise<Family>>> = {
  llama: async () => (await import('./llama.ts')).llama,
  mistral: async () => (await import('./llama.ts')).mistral,
  ministral3: async () => (await import('./llama.ts')).ministral3,
  qwen2: async () => (await import('./qwen.ts')).qwen2,
  qwen3: async () => (await import('./qwen.ts')).qwen3,
  qwen3_moe: async () => (await import('./qwen.ts')).qwen3Moe,
  gemma2: async () => (await import('./gemma.ts')).gemma2,
  gemma3_text: async () => (await import('./gemma.ts')).gemma3,
  gemma4_text: async () => (await import('./gemma4.ts')).gemma4,
  smollm3: async () => (await import('./smollm.ts')).smollm3,
  ernie4_5: async () => (await import('./ernie.ts')).ernie45,
  granite: async () => (await import('./granite.ts')).granite,
  phi3: async () => (await import('./phi.ts')).phi3,
  olmo2: async () => (await import('./olmo.ts')).olmo2,
  olmo3: async () => (await import('./olmo.ts')).olmo3,
  hunyuan_v1_dense: async () => (await import('./hunyuan.ts')).hunyuanDense,
  exaone4: async () => (await import('./exaone.ts')).exaone4,
  lfm2: async () => (await import('./lfm.ts')).lfm2,
  granitemoehybrid: async () => (await import('./granite.ts')).graniteHybrid,
  qwen3_5_text: async () => (await import('./qwen.ts')).qwen35,
  gpt_oss: async () => (await import('./gpt-oss.ts')).gptOss,
}

/** What `model_type` calls families as the text decoders of multimodal models, where otherwise. */
const within: Readonly<Record<string, string>> = {
  qwen2_vl: 'qwen2',
  qwen2_vl_text: 'qwen2',
  qwen2_5_vl: 'qwen2',
  qwen2_5_vl_text: 'qwen2',
  qwen3_vl_text: 'qwen3',
  qwen3_vl_moe_text: 'qwen3_moe',
}

/** The `model_type` of every family. */
export const modelTypes: readonly string[] = Object.keys(families)

/** A family by the `model_type` of its models; undefined where there is none. */
export async function findFamily(modelType: string): Promise<Family | undefined> {
  const name = Object.hasOwn(within, modelType) ? within[modelType] : modelType
  return Object.hasOwn(families, name) ? families[name]() : undefined
}

/** Every family, for what looks for one by something else. */
export const allFamilies = (): Promise<Family[]> => Promise.all(Object.values(families).map(load => load()))
