// What is fetched only when a tokenizer is opened.
export { createTokenizer } from './create-tokenizer.ts'
export { tokenizerFromGguf } from './tokenizer-from-gguf.ts'
