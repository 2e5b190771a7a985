export { continuationAgreement, repetitionRate } from './continuation.ts'
export { type Evaluation, type PerplexityOptions, perplexities, perplexity } from './perplexity.ts'
export { type DownloadOptions, documentsOf, downloadDocuments } from './tasks/documents.ts'
export {
  type Answer,
  evaluateTask,
  type Measured,
  type TaskOptions,
  type TaskResult,
} from './tasks/evaluate-task.ts'
export type { Field } from './tasks/fields.ts'
export type { Dataset, Item, Request, Task } from './tasks/task.ts'
export { taskNamed, tasks } from './tasks/tasks.ts'
export { type Protocol, type ProtocolName, protocols, type Window, windowsOf } from './windows.ts'
