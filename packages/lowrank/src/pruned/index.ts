export { largest, type PrunedParams, prunedCodec, storePruned } from './codec.ts'
