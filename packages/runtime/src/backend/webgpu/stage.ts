import type { AttentionKernel, VectorBindingName, VectorOpName } from '@reallm/kernels/webgpu'
import { VectorOp } from '@reallm/kernels/webgpu'
import type { Rope } from '@reallm/tensor-io/models'
import type { Region } from './arena.ts'
import { codeOf, type GpuWeight, type Piece } from './weight.ts'

/** A step of a kernel of vectors and the words after it. */
export interface VectorStep {
  readonly op: VectorOpName
  readonly words: readonly number[]
  /** Values of the vector. */
  readonly size: number
}

/** Kernels of vectors are compiled once for all stages of a role, of `rows` for each code of an embedding. */
export type Role =
  | 'rows'
  | 'enter'
  | 'layered'
  | 'route'
  | 'recurrent'
  | 'heads'
  | 'attended'
  | 'gated'
  | 'logits'

/** Lists of steps, a workgroup each for every token. */
export interface VectorStage {
  readonly kind: 'vector'
  readonly role: Role
  readonly slots: readonly (readonly VectorStep[])[]
  /** The layer whose cache it writes. */
  readonly layer?: number
  /** Where it looks rows up; or another piece in the same buffer that the same kernel reads. */
  readonly embedding?: Piece | undefined
}

/** Of stages that share a kernel. */
export const kernelOf = ({ role, embedding }: VectorStage): string =>
  role === 'rows' ? `rows ${codeOf(embedding!.blob)}` : role

/** A matrix times an input. */
export interface Product {
  readonly weight: GpuWeight
  readonly input: Region
  readonly inputStep: number
  readonly output: Region
  readonly outputStep: number
  readonly chunks: number
  /** Of an expert's matrix, which only tokens that have chosen it multiply. */
  readonly expert?: Chosen | undefined
}

/** An expert of a mixture. */
export interface Chosen {
  /** Where the tokens' shares of it are in `y`. */
  readonly shares: number
  /** Part of the tokens that choose it, on average. */
  readonly part: number
}

/** Products that do not wait for each other. */
export interface ProductStage {
  readonly kind: 'product'
  readonly products: readonly Product[]
  /** Whether it writes logits instead of activations. */
  readonly isHead: boolean
}

export interface AttentionStage {
  readonly kind: 'attention'
  readonly kernel: Omit<AttentionKernel, 'memory'>
  readonly kvHeads: number
  readonly layer: number
  readonly words: readonly number[]
}

/** What becomes logits of a product. */
export interface LogitsStage {
  readonly kind: 'logits'
  readonly code: string
  readonly count: number
  readonly from: VectorBindingName
  readonly words: readonly number[]
}

/** A kernel of a layer that keeps a state of fixed size. */
export interface RecurrentStage {
  readonly kind: 'recurrent'
  readonly name: string
  readonly code: string
  readonly layer: number
  readonly words: readonly number[]
  readonly workgroups: number
  /** Floats of the state, and of what is read and written of a token. */
  readonly state: number
  readonly values: number
}

export type Stage = VectorStage | ProductStage | AttentionStage | LogitsStage | RecurrentStage

/** Where the angles of a rope are, for queries or keys, in floats of `rope`. */
export interface RopePlace {
  readonly rope: Rope
  readonly isQuery: boolean
  readonly cos: number
  readonly sin: number
}

const view = new DataView(new ArrayBuffer(4))

/** The bits of a float. */
export function floatWord(value: number): number {
  view.setFloat32(0, value)
  return view.getUint32(0)
}

/** The words of a stage: where each slot's list begins, then the lists. */
export function stageWords(slots: VectorStage['slots']): number[] {
  const starts: number[] = []
  const lists: number[] = []
  for (const steps of slots) {
    starts.push(slots.length + lists.length)
    for (const { op, words } of steps) lists.push(VectorOp[op], ...words)
    lists.push(VectorOp.end)
  }
  return [...starts, ...lists]
}
