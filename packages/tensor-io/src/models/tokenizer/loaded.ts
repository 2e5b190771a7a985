// What is fetched only when a tokenizer is opened.
export { endIdsOfGguf } from '../config-from-gguf.ts'
export { createTokenizer } from './create-tokenizer.ts'
export { reviewTokenizer } from './review-tokenizer.ts'
export { tokenizerFromGguf } from './tokenizer-from-gguf.ts'
