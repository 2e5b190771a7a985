import type { CodedBlob, TrellisBlob } from '@reallm/kernels/webgpu'
import type { Weight } from '../weight.ts'
import type { Place } from './heap.ts'

/** A factor on each value. */
interface ScaleStep {
  readonly kind: 'scale'
  readonly factors: Float32Array
}

/** Signs, a bit for each value, 1 for −1, and the transform of `hadamardPlan`. */
interface RotateStep {
  readonly kind: 'rotate'
  readonly signs: Uint32Array<ArrayBuffer>
  readonly width: number
}

/** `L₁ L₂ x`, beside what the matrix makes of the same `x`: L₂ acts before it, L₁ after. */
export interface LowRankStep {
  readonly kind: 'low-rank'
  readonly rank: number
  /** L₁ `[rows, rank]` and L₂ `[rank, cols]`. */
  readonly left: Float32Array
  readonly right: Float32Array
}

export type Step = ScaleStep | RotateStep | LowRankStep

/** Rows of a matrix in a buffer. */
export interface Piece {
  readonly firstRow: number
  readonly blob: TrellisBlob | CodedBlob
  readonly place: Place
}

/** A matrix on the device: packed, with what happens to vectors before and after it. */
export interface GpuWeight extends Weight {
  /** From top to bottom; more than one where a binding cannot hold it, or kernels read its parts differently. */
  readonly pieces: readonly Piece[]
  /** What its input goes through, in order. */
  readonly before: readonly Step[]
  /** What its output goes through, in order. */
  readonly after: readonly Step[]
}

/** What blobs have in common that one kernel looks rows up in. */
export const codeOf = (blob: TrellisBlob | CodedBlob): string =>
  isTrellis(blob) ? `trellis ${blob.stateBits}` : JSON.stringify(blob.kernel)

export const isTrellis = (blob: TrellisBlob | CodedBlob): blob is TrellisBlob => 'stateBits' in blob
