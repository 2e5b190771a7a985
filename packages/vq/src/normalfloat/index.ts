export { normalfloat } from './codec.ts'
export { normalfloatLevels } from './levels.ts'
export { type NormalfloatParams, normalfloatParams } from './params.ts'
