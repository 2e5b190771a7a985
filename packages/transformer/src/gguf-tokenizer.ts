export { tokenizerFromGguf } from '@reallm/tensor-io/tokenizer'
