export { type Lr2vqParams, lr2vq } from './codec.ts'
export { type ProjectedCodebook, type ProjectedCodebookOptions, projectedCodebook } from './lr2vq.ts'
