export { fitShared, type SharedValues, type TrellisParams, trellis, trellisWith } from './codec.ts'
