export { normalfloatLevels } from '@reallm/tensor-io/layouts'
export { type NormalfloatParams, normalfloat } from './codec.ts'
