export { checkGeneration, type GenerationCheck, type GenerationOptions } from './check-generation.ts'
export { continuationAgreement, repetitionRate } from './continuation.ts'
export type { Evaluation, Interval } from './evaluation.ts'
export type { LayerError } from './layer-errors.ts'
export { perplexities, perplexity } from './perplexity.ts'
export type { RunningModel, RunningSession } from './running/running-model.ts'
export type { ComparedTally, Kept, Tally } from './tally.ts'
export { type DownloadOptions, documentsOf, downloadDocuments } from './tasks/documents.ts'
export {
  type Answer,
  evaluateTask,
  type Measured,
  type TaskOptions,
  type TaskResult,
} from './tasks/evaluate-task.ts'
export type { Field } from './tasks/fields.ts'
export type { Scored } from './tasks/score-continuations.ts'
export type { Dataset, Item, Request, Task } from './tasks/task.ts'
export { taskNamed, tasks } from './tasks/tasks.ts'
export type { EvaluatedModel, PerplexityOptions } from './window-work.ts'
export {
  type Protocol,
  type ProtocolName,
  protocols,
  type Window,
  windowLength,
  windowsOf,
} from './windows.ts'
