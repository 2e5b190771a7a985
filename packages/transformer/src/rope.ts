export { llama3Divisor, type Rope, type RopeParameters, rope, ropeTypes } from '@reallm/tensor-io/decoder'
