import type { CodecWrapper } from '@reallm/tensor-io'
import { permutation } from './permute.ts'
import { rotation } from './rotate.ts'
import { scaling } from './scale.ts'

export { type AsymmetricOptions, asymmetricTarget, type WantedInputs } from './asymmetric-target.ts'
export { type FeedbackOptions, withFeedback } from './feedback/index.ts'
export { type PermutationOptions, type PermutedParams, permuted } from './permute.ts'
export { type RotatedParams, type RotationOptions, rotate, rotated } from './rotate.ts'
export { type ScaledParams, type ScalingOptions, scaled } from './scale.ts'

/** For `createRegistry`: decoders of matrices that were stored by `rotated`, `permuted` and `scaled`. */
export const transforms: readonly CodecWrapper[] = [rotation, permutation, scaling]
