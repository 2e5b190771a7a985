export {
  type ChatMessage,
  createTokenizer,
  type TextTokenizer,
  type TokenizerFiles,
} from './create-tokenizer.ts'
export { openTokenizer } from './open-tokenizer.ts'
export { tokenizerFromGguf } from './tokenizer-from-gguf.ts'
export { tokenizerToGguf } from './tokenizer-to-gguf.ts'
