export { type GridParams, grid, integerParams, storeIntegers } from './codec.ts'
