import { ernie45 } from './ernie.ts'
import { exaone4 } from './exaone.ts'
import type { Family } from './family.ts'
import { gemma2, gemma3 } from './gemma.ts'
import { gemma4 } from './gemma4.ts'
import { gptOss } from './gpt-oss.ts'
import { granite, graniteHybrid } from './granite.ts'
import { hunyuanDense } from './hunyuan.ts'
import { lfm2 } from './lfm.ts'
import { llama, ministral3, mistral } from './llama.ts'
import { olmo2, olmo3 } from './olmo.ts'
import { phi3 } from './phi.ts'
import { qwen2, qwen3, qwen3Moe, qwen35 } from './qwen.ts'
import { smollm3 } from './smollm.ts'

export type { Family, GgufFamily } from './family.ts'

/** Every family that models are opened of. */
export const families: readonly Family[] = [
  llama,
  mistral,
  ministral3,
  qwen2,
  qwen3,
  qwen3Moe,
  gemma2,
  gemma3,
  gemma4,
  smollm3,
  ernie45,
  granite,
  phi3,
  olmo2,
  olmo3,
  hunyuanDense,
  exaone4,
  lfm2,
  graniteHybrid,
  qwen35,
  gptOss,
]
