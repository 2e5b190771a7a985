export {
  lowRankResidual,
  type PlusLowRankOptions,
  type PlusLowRankParams,
  plusLowRank,
  withLowRank,
} from './plus-low-rank.ts'
