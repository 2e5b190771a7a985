import type { GatedDeltaNet, Mamba2, ShortConv } from '@reallm/tensor-io/models'
import type { NormOp, Slot } from './slot.ts'
import type { Vector } from './weight.ts'

/** Weights of a causal convolution, `[channels, kernel]` and `[channels]`. */
export interface ConvWeights {
  readonly weight: Vector
  readonly bias: Vector | undefined
}

/** `to = after · conv(before · value)`; the state of layer `layer` keeps what the next positions see. */
export interface ShortConvOp {
  readonly kind: 'short-conv'
  readonly spec: ShortConv
  readonly layer: number
  readonly before: Slot
  readonly after: Slot
  readonly value: Slot
  readonly conv: ConvWeights
  readonly to: Slot
}

/** The gated delta rule of a layer, see `GatedDeltaNet`: its convolution, recurrence, norm and gate. */
export interface DeltaRule {
  readonly kind: 'delta-rule'
  readonly spec: GatedDeltaNet
  readonly layer: number
  /** Queries, keys and values side by side. */
  readonly mixed: Slot
  readonly gate: Slot
  readonly beta: Slot
  readonly decay: Slot
  readonly conv: ConvWeights
  readonly aLog: Vector
  readonly dtBias: Vector
  /** Of each head. */
  readonly norm: NormOp
  readonly to: Slot
}

/** The recurrence of a Mamba-2 layer, see `Mamba2`: its convolution, scan, gate and norm. */
export interface Scan {
  readonly kind: 'scan'
  readonly spec: Mamba2
  readonly layer: number
  /** Values, B and C side by side. */
  readonly mixed: Slot
  readonly gate: Slot
  readonly step: Slot
  readonly conv: ConvWeights
  readonly aLog: Vector
  readonly dtBias: Vector
  readonly skip: Vector
  /** Its weights are those of all groups; the mean square is taken over each. */
  readonly norm: NormOp
  readonly to: Slot
}

/**
 * Ops of layers that keep a state of fixed size in place of keys and values. Such a state cannot go back: `truncate` of a
 * state that has one to fewer positions leaves none.
 */
export type RecurrentOp = ShortConvOp | DeltaRule | Scan

export const isRecurrent = (op: { readonly kind: string }): op is RecurrentOp =>
  op.kind === 'short-conv' || op.kind === 'delta-rule' || op.kind === 'scan'
