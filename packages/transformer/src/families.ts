export { type Family, families, type HuggingFaceConfig } from '@reallm/tensor-io/decoder'
