import { lowRankResidual, monarchResidual } from '@reallm/lowrank'
import type { CodecWrapper } from '@reallm/tensor-io'
import { permutation } from './permuted.ts'
import { rotation } from './rotated.ts'
import { scaling } from './scaled.ts'

export { type PlusLowRankOptions, type PlusLowRankParams, plusLowRank, plusMonarch } from '@reallm/lowrank'
export { type AsymmetricOptions, asymmetricTarget } from './asymmetric.ts'
export { type FeedbackOptions, withFeedback } from './feedback.ts'
export { type PermutationOptions, type PermutedParams, permuted } from './permuted.ts'
export { type RotatedParams, type RotationOptions, rotated, turn } from './rotated.ts'
export { type ScaledParams, type ScalingOptions, scaled } from './scaled.ts'

/** For a registry: what decodes matrices that were stored by `rotated`, `permuted`, `scaled`, `plusLowRank` and `plusMonarch`. */
export const wrappers: readonly CodecWrapper[] = [
  ...[rotation, permutation, scaling],
  ...[lowRankResidual, monarchResidual],
]
