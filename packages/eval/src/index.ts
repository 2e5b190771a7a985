export { continuationAgreement, repetitionRate } from './continuation.ts'
export { type Evaluation, type PerplexityOptions, perplexity } from './perplexity.ts'
export { type Protocol, protocols, type Window, windowsOf } from './windows.ts'
