export { Chat, type ChatOptions } from './chat.ts'
export {
  type FinishReason,
  type GenerateOptions,
  Generation,
  type GenerationReport,
} from './generation.ts'
export { type LoadOptions, load } from './load.ts'
export type { WeightForm } from './load-weights.ts'
export { type GenerateTextOptions, Model } from './model.ts'
export type { ModelLocation } from './open.ts'
export { Session } from './session.ts'
