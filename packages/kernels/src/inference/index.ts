export { Arena } from './arena.ts'
export { createInference, type Inference, type InferenceBuild, type InferenceOptions } from './create.ts'
export type { InferenceKernels, Pointer } from './kernels.ts'
