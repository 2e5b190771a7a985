export { additive } from './codec.ts'
export { type AdditiveParams, additiveParams } from './params.ts'
