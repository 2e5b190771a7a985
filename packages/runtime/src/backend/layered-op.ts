import type { SharedAttention } from '@reallm/tensor-io/models'
import type { NormOp, Slot } from './slot.ts'
import type { Vector, Weight } from './weight.ts'

/**
 * Attention to what the state of layer `spec.layer` holds, the tokens at hand included: norm and rotary embedding of queries,
 * `to = softmax(scale · q kᵀ) v`.
 */
export interface AttendShared {
  readonly kind: 'attend-shared'
  readonly spec: SharedAttention
  readonly query: Slot
  /** Of each head. */
  readonly norm: NormOp | undefined
  readonly to: Slot
}

/** `to[i] = (norm(part i of W from) + √width · part i of table[id]) / √2`, a part for each layer. */
export interface PerLayerInputsOp {
  readonly kind: 'per-layer-inputs'
  readonly from: Slot
  readonly projection: Weight
  readonly norm: NormOp
  readonly table: Weight
  readonly to: readonly Slot[]
}

/** `hidden = factor · hidden`, the factor being `[1]`. */
export interface Times {
  readonly kind: 'times'
  readonly factor: Vector
  readonly hidden: Slot
}

/** What layers read beside the hidden states (Gemma 4). */
export type LayeredOp = AttendShared | PerLayerInputsOp | Times

export const isLayered = (op: { readonly kind: string }): op is LayeredOp =>
  op.kind === 'attend-shared' || op.kind === 'per-layer-inputs' || op.kind === 'times'
