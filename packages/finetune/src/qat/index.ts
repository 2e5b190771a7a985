export type { Downcast } from './downcast.ts'
export { type GridMatrix, type LrQat, type LrQatOptions, lrQat } from './lr-qat.ts'
