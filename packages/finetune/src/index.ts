export { type CheckpointStore, fileStore, memoryStore } from '@reallm/tensor-io'
export {
  type AdamW,
  type AdamWOptions,
  adamW,
  type Parameters,
  type TfVariable,
} from '@reallm/transformer/adamw'
export * from './additive/index.ts'
export * from './batches.ts'
export {
  type BlockReport,
  type BlockwiseOptions,
  type BlockwiseResult,
  tuneBlockwise,
} from './blockwise/blockwise.ts'
export { createSequenceStates, type SequenceStates } from './blockwise/hidden-states.ts'
export type { MatchResult } from './blockwise/match-block.ts'
export * from './data/index.ts'
export * from './distill/index.ts'
export {
  type EndToEndOptions,
  type EndToEndResult,
  type EndToEndSettings,
  sequencesSeen,
  tuneEndToEnd,
} from './end-to-end.ts'
export * from './finetune.ts'
export { headLoss, type LossOfRows, nextToken, type RowLosses } from './head-loss.ts'
export * from './loss.ts'
export {
  checkpointedBlock,
  type StatesOptions,
  type Tunable,
  tunedBlock,
  tunedHead,
  tunedLogits,
  tunedStates,
} from './lowrank/forward.ts'
export { type LowRankPlan, type PlannedModule, plannedModules } from './lowrank/plan.ts'
export { rowScaled, rowScalesOf, withRowScales } from './lowrank/row-scaled.ts'
export { type Factors, type Trainable, type TrainableOptions, trainable } from './lowrank/trainable.ts'
export * from './onebit/index.ts'
export * from './qat/index.ts'
export * from './result.ts'
export { learningRateAt, type Schedule } from './schedule.ts'
export { type FactorStore, type Student, takeApart } from './student.ts'
export * from './train.ts'
