export { grid } from './codec.ts'
export { type GridParams, gridParams } from './params.ts'
