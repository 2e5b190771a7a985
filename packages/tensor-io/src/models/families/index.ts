import type { Family } from './family.ts'
import { gemma3 } from './gemma.ts'
import { llama, mistral } from './llama.ts'
import { qwen2, qwen3 } from './qwen.ts'

export type { Family, GgufFamily } from './family.ts'

/** Every family that models are opened of. */
export const families: readonly Family[] = [llama, mistral, qwen2, qwen3, gemma3]
