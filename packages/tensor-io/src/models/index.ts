// Subpaths of their own have what a page fetches when a model needs it: `@reallm/tensor-io/adapter` adapters, `/gguf` what GGUF
// calls configurations and tensors, `/tokenizer` the libraries that read tokenizers.
export type { Adapter, AdapterModule } from './adapter/adapter.ts'
export * from './choose-experts.ts'
export * from './config.ts'
export type { HuggingFaceConfig } from './config-reader.ts'
export { allFamilies, type Family, type GgufFamily, modelTypes } from './families/index.ts'
export * from './layer-spec.ts'
export { type Review, reviewFiles } from './review.ts'
export { llama3Divisor, type Rope, type RopeParameters, rope, ropeTypes, rotations } from './rope.ts'
export * from './sample.ts'
export { type InStack, stackBuilder, storedStacks } from './stacks.ts'
export * from './text-stream.ts'
export type {
  ChatMessage,
  ChatTemplateOptions,
  ChatTool,
  ChatToolCall,
  TextTokenizer,
  TokenizerFiles,
} from './tokenizer/create-tokenizer.ts'
export { openTokenizer } from './tokenizer/open-tokenizer.ts'
export * from './transformer-config.ts'
export * from './weights.ts'
