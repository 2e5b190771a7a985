export { type LplrParams, lplrCodec, lplrFactorsOf } from './codec.ts'
export { type Lplr, type LplrOptions, lplr } from './lplr.ts'
