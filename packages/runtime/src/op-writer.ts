import type {
  GatedMlp,
  LayerSpec,
  LinearModule,
  MixtureOfExperts,
  Norm,
  Parameter,
  Projection,
} from '@reallm/tensor-io/models'
import type { AttendShared } from './backend/layered-op.ts'
import type { Attend, Expert, GroupMember, NormOp, Op, Slot } from './backend/op.ts'
import type { RecurrentOp } from './backend/recurrent-op.ts'
import type { Vector } from './backend/weight.ts'
import type { DecoderWeights } from './weights.ts'

type Placed = readonly [Projection, Slot]

/** The op of a mixer, and the projections that it takes in. */
export interface MixerOp {
  readonly inputs: readonly Placed[]
  readonly op: Attend | AttendShared | RecurrentOp
}

/** Finds the weights of ops, and gives layers the same slots. */
export class OpWriter {
  readonly hidden: Slot
  readonly weights: DecoderWeights
  readonly #slots = new Map<string, Slot>()

  constructor(weights: DecoderWeights, hiddenSize: number) {
    this.weights = weights
    this.hidden = this.slot('hidden', hiddenSize)
  }

  /** The slot of a purpose and width. */
  slot(purpose: string, width: number): Slot {
    const key = `${purpose} ${width}`
    const slot = this.#slots.get(key) ?? { width }
    this.#slots.set(key, slot)
    return slot
  }

  /** Projections of a mixer, each with a slot of its purpose and width. */
  slots<Name extends string>(
    mixer: Readonly<Record<Name, Projection>>,
    names: readonly Name[],
  ): Record<Name, Placed> {
    const found = {} as Record<Name, Placed>
    for (const name of names) found[name] = [mixer[name], this.slot(name, mixer[name].to - mixer[name].from)]
    return found
  }

  vector({ name }: Parameter): Vector {
    return this.weights.parameters.get(name)!
  }

  norm({ name, eps }: Norm): NormOp {
    return { weight: this.weights.norms.get(name)!, eps }
  }

  /** Projections of the normed hidden states; those of one fused matrix become its parts. */
  project(norm: Norm | undefined, projections: readonly Placed[]): Op {
    return {
      ...{ kind: 'project', from: this.hidden, norm: norm && this.norm(norm) },
      members: this.#members(projections),
    }
  }

  #members(projections: readonly Placed[]): GroupMember[] {
    const names = new Set(projections.map(([{ module }]) => module.name))
    return [...names].map((name): GroupMember => {
      const own = projections.filter(([{ module }]) => module.name === name)
      const parts = own.map(([{ from }, to]) => ({ row: from, to }))
      return { ...this.weights.modules.get(name)!, parts }
    })
  }

  /** A mixture of experts, whose experts have the same slots. */
  experts(spec: MixtureOfExperts, norms: LayerSpec['norms'], scale: number): Op {
    const [before, after] = [norms.beforeFfn, norms.afterFfn]
    return {
      ...{ kind: 'experts', spec, scale, hidden: this.hidden },
      norm: before && this.norm(before),
      after: after && this.norm(after),
      router: this.weights.routers.get(spec.router.name)!,
      experts: spec.experts.map(expert => this.#expert(expert)),
      shared: spec.shared && this.#expert(spec.shared),
    }
  }

  #expert(spec: GatedMlp): Expert {
    const gate = this.slot('gate', spec.width)
    const up = this.slot('up', spec.width)
    const members = this.#members([
      [spec.gate, gate],
      [spec.up, up],
    ])
    return { members, gate, up, spec, ...this.weights.modules.get(spec.down.name)! }
  }

  residual({ name }: LinearModule, from: Slot, norm: Norm | undefined, scale: number): Op {
    const module = this.weights.modules.get(name)!
    return { kind: 'residual', from, ...module, norm: norm && this.norm(norm), scale, hidden: this.hidden }
  }
}
