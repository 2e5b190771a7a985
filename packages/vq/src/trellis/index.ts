export { fitShared, type SharedNetworks, type TrellisParams, trellis, trellisWith } from './codec.ts'
