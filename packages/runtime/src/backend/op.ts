import type { Activation, Attention, GatedMlp, MixtureOfExperts } from '@reallm/tensor-io/models'
import type { LayeredOp } from './layered-op.ts'
import type { RecurrentOp } from './recurrent-op.ts'
import type { NormOp, Slot } from './slot.ts'
import type { Vector, Weight } from './weight.ts'

export type { NormOp, Slot } from './slot.ts'

/** `to = scale · W[id]`, for each token. */
interface Embed {
  readonly kind: 'embed'
  readonly weight: Weight
  readonly scale: number
  readonly to: Slot
}

/** Rows `row … row + slot.width` of a product. */
export interface Part {
  readonly row: number
  readonly to: Slot
}

/** A matrix of a projection group: `W x + bias`, dealt to slots (several where it is fused). */
export interface GroupMember {
  readonly weight: Weight
  readonly bias: Vector | undefined
  readonly parts: readonly Part[]
}

/** A projection group: all matrices that multiply `norm(from)`. */
export interface Project {
  readonly kind: 'project'
  readonly from: Slot
  readonly norm: NormOp | undefined
  readonly members: readonly GroupMember[]
}

/**
 * Causal attention of a layer: norms and rotary embedding of queries and keys, keys and values appended to the state of
 * layer `layer`, `to = softmax(scale · q kᵀ) v`.
 */
export interface Attend {
  readonly kind: 'attend'
  readonly spec: Attention
  readonly layer: number
  /** Of a `spec.gated`, each head's query is followed by its gate. */
  readonly query: Slot
  readonly key: Slot
  readonly value: Slot
  /** Where `spec.qkNorm` is: of each head, or of all together where that is the width. */
  readonly norms: { readonly query: NormOp; readonly key: NormOp } | undefined
  /** Where `spec.sinks` are. */
  readonly sinks?: Vector | undefined
  readonly to: Slot
}

/** `to = activation(gate) · up`; `to` may be `gate`. */
export interface GatedProduct {
  readonly kind: 'gated-product'
  readonly activation: Activation
  readonly gate: Slot
  readonly up: Slot
  readonly to: Slot
}

/** One gated MLP of many: `W (activation(gate) · up) + bias`, of projections of the same input. */
export interface Expert {
  readonly members: readonly GroupMember[]
  readonly gate: Slot
  readonly up: Slot
  readonly spec: GatedMlp
  readonly weight: Weight
  readonly bias: Vector | undefined
}

/**
 * A mixture of experts, `hidden += scale · after(Σ share · expert(norm(hidden)))`. Each token reaches the experts that its
 * scores `router · norm(hidden)` choose, and no other is computed for it; all reach what is shared.
 */
export interface Experts {
  readonly kind: 'experts'
  readonly spec: MixtureOfExperts
  readonly norm: NormOp | undefined
  readonly router: { readonly weight: Weight; readonly bias: Vector | undefined }
  readonly experts: readonly Expert[]
  readonly shared: Expert | undefined
  readonly after: NormOp | undefined
  readonly scale: number
  readonly hidden: Slot
}

/** The end of a sublayer: `hidden += scale · norm(W from + bias)`. */
export interface Residual {
  readonly kind: 'residual'
  readonly from: Slot
  readonly weight: Weight
  readonly bias: Vector | undefined
  readonly norm: NormOp | undefined
  readonly scale: number
  readonly hidden: Slot
}

/** The logits `softcap(scale · W norm(from))`; the last op of a program, run only where they are wanted. */
export interface Head {
  readonly kind: 'head'
  readonly from: Slot
  readonly norm: NormOp | undefined
  readonly weight: Weight
  readonly scale: number
  /** Squashes to ± this many by tanh. */
  readonly softcap: number | undefined
}

/**
 * A step of a forward pass, coarse enough for a backend to fuse what is in it, and with its neighbours. Ops run in order.
 */
export type Op = Embed | Project | Attend | LayeredOp | RecurrentOp | GatedProduct | Experts | Residual | Head
