export {
  type ChatMessage,
  createTokenizer,
  openTokenizer,
  type TextTokenizer,
  type TokenizerFiles,
} from '@reallm/tensor-io/tokenizer'
