export { type AdditiveParams, additive } from './codec.ts'
export type { AdditiveCode } from './refine.ts'
export { additiveCodeOf, withCodebooks } from './stored.ts'
