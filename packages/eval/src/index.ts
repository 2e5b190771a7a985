export { continuationAgreement, repetitionRate } from './continuation.ts'
export { type Evaluation, type PerplexityOptions, perplexity } from './perplexity.ts'
export { textOf } from './read-text.ts'
export { type Protocol, protocols, type Window, windowsOf } from './windows.ts'
