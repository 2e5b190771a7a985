export {
  type ChatMessage,
  createTokenizer,
  type TextTokenizer,
  type TokenizerFiles,
} from './create-tokenizer.ts'
export { tokenizerFromGguf } from './gguf-tokenizer.ts'
export { openTokenizer } from './open-tokenizer.ts'
