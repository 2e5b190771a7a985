export { fitShared, type SharedValues, trellis, trellisWith } from './codec.ts'
export { type TrellisParams, trellisParams } from './params.ts'
