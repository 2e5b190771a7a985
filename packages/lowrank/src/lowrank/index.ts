export { applyLowRank, type LowRankParams, lowRankOf, lowrank } from './codec.ts'
