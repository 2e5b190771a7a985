export { trellis } from './codec.ts'
export { type TrellisParams, trellisParams } from './params.ts'
