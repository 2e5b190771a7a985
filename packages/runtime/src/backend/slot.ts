import type { Vector } from './weight.ts'

/**
 * An activation `[tokens, width]` of a program: two ops that name the same object read and write the same values. Slots are
 * used again from layer to layer.
 */
export interface Slot {
  readonly width: number
}

/** RMS norm over `weight.length` values at a time, `x / √(mean x² + eps) · weight`; a norm's offset is in the weights. */
export interface NormOp {
  readonly weight: Vector
  readonly eps: number
}
