import type { LinearModule, Norm, Parameter, Projection } from '@reallm/tensor-io/models'
import type { GroupMember, NormOp, Op, Slot } from './backend/op.ts'
import type { Vector } from './backend/weight.ts'
import type { DecoderWeights } from './weights.ts'

/** Finds the weights of ops, and gives layers the same slots. */
export class OpWriter {
  readonly hidden: Slot
  readonly #weights: DecoderWeights
  readonly #slots = new Map<string, Slot>()

  constructor(weights: DecoderWeights, hiddenSize: number) {
    this.#weights = weights
    this.hidden = this.slot('hidden', hiddenSize)
  }

  /** The slot of a purpose and width. */
  slot(purpose: string, width: number): Slot {
    const key = `${purpose} ${width}`
    const slot = this.#slots.get(key) ?? { width }
    this.#slots.set(key, slot)
    return slot
  }

  vector({ name }: Parameter): Vector {
    return this.#weights.parameters.get(name)!
  }

  norm({ name, eps }: Norm): NormOp {
    return { weight: this.#weights.norms.get(name)!, eps }
  }

  /** Projections of the normed hidden states; those of one fused matrix become its parts. */
  project(norm: Norm | undefined, projections: readonly (readonly [Projection, Slot])[]): Op {
    const names = new Set(projections.map(([{ module }]) => module.name))
    const members = [...names].map((name): GroupMember => {
      const own = projections.filter(([{ module }]) => module.name === name)
      const parts = own.map(([{ from }, to]) => ({ row: from, to }))
      return { ...this.#weights.modules.get(name)!, parts }
    })
    return { kind: 'project', from: this.hidden, norm: norm && this.norm(norm), members }
  }

  residual({ name }: LinearModule, from: Slot, norm: Norm | undefined, scale: number): Op {
    const module = this.#weights.modules.get(name)!
    return { kind: 'residual', from, ...module, norm: norm && this.norm(norm), scale, hidden: this.hidden }
  }
}
