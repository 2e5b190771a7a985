export { grid, integerParams, storeIntegers } from './codec.ts'
export { type GridParams, gridParams } from './params.ts'
