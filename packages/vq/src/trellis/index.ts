export { bandBits } from './band-bits.ts'
export { type TrellisBandsParams, trellisBands } from './bands.ts'
export { fitShared, type SharedNetworks, type TrellisParams, trellis, trellisWith } from './codec.ts'
