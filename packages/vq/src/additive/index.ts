export { additive } from './codec.ts'
export { type AdditiveParams, additiveParams } from './params.ts'
export type { AdditiveCode } from './refine.ts'
export { additiveCodeOf, withCodebooks } from './stored.ts'
