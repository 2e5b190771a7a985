export type { PlusLowRankOptions } from './params.ts'
export { lowRankResidual, type PlusLowRankParams, plusLowRank, withLowRank } from './plus-low-rank.ts'
