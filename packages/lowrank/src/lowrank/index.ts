export { applyLowRank, lowRankOf, lowrank } from './codec.ts'
export type { LowRankParams } from './params.ts'
