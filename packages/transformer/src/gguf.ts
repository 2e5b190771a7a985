export { configFromGguf, type GgufMetadata, ggufName, permuteHeads } from '@reallm/tensor-io/decoder'
