import { ReallmError } from '@reallm/tensor-io'
import type { NormOp, Slot } from '../op.ts'
import type { Vector } from '../weight.ts'
import { Arena, type Region } from './arena.ts'
import { chunksOf } from './chunks.ts'
import type { Product, Role, Stage, VectorStep } from './stage.ts'
import { type Shared, Steps } from './steps.ts'
import type { GpuWeight, Step } from './weight.ts'

/** How the values of a slot come about: as a list of steps of whoever needs them. */
export interface Source {
  readonly role: Role
  readonly load: readonly VectorStep[]
  /** Whether it should be kept once it has been computed: hidden states are needed again. */
  readonly isHidden: boolean
  readonly embedding?: GpuWeight | undefined
  /** Where it is in memory already. */
  readonly region?: Region
  release(): void
}

/** A product, and where the low-rank parts beside it are kept. */
export interface ProductWithTaps extends Product {
  readonly taps: Map<Step, number>
}

/**
 * What turns ops into stages, each one dispatch or a few: what happens to a vector between two products is put off until the next
 * product needs it, and becomes part of one kernel. Each op's way is in `compile-op.ts`.
 */
export class Compiler {
  readonly stages: Stage[] = []
  readonly headStages: Stage[] = []
  readonly x = new Arena()
  readonly y = new Arena()
  readonly activations = new Arena()
  readonly partials = new Arena()
  readonly shared: Shared
  readonly steps: Steps
  /** Tokens at most. */
  readonly tokens: number
  readonly #sources = new Map<Slot, Source>()
  #out = this.stages

  constructor(shared: Shared, tokens: number) {
    this.shared = shared
    this.steps = new Steps(shared, this.x)
    this.tokens = tokens
  }

  emit(...stages: readonly Stage[]): void {
    this.#out.push(...stages)
  }

  /** What follows runs for one token at a time. */
  beginHead(): void {
    this.#out = this.headStages
  }

  /** Products of the value of a slot; what they multiply goes to inputs, those of one kind shared. */
  products(from: Slot, norm: NormOp | undefined, weights: readonly GpuWeight[]): ProductWithTaps[] {
    const source = this.source(from)
    const inputs: { before: readonly Step[]; region: Region; step: number; taps: Map<Step, number> }[] = []
    const slots: VectorStep[][] = []
    const kept = source.isHidden ? this.activations.take(from.width * this.tokens) : undefined
    const products = weights.map((weight): ProductWithTaps => {
      let input = inputs.find(({ before }) => isSame(before, weight.before))
      if (!input) {
        const step = roundUp(weight.cols)
        input = { before: weight.before, region: this.x.take(step * this.tokens), step, taps: new Map() }
        const store: VectorStep[] =
          kept && inputs.length === 0 ? [{ op: 'store', words: [from.width, kept.at], size: from.width }] : []
        inputs.push(input)
        slots.push([
          ...source.load,
          ...store,
          ...(norm ? [this.steps.norm(norm, from.width)] : []),
          ...this.steps.before(weight, input.taps),
          inputStep(weight.cols, input.region, step),
        ])
      }
      const chunks = this.tokens === 1 ? chunksOf(weights, weight) : 1
      const output = this.y.take(weight.rows * Math.max(chunks, this.tokens))
      return {
        ...{ weight, chunks, output, input: input.region, inputStep: input.step, outputStep: weight.rows },
        taps: input.taps,
      }
    })
    this.emit(vectorStage(source, slots), { kind: 'product', products, isHead: false })
    for (const { region } of inputs) this.x.give(region)
    if (kept) this.set(from, this.#stored(kept, from.width))
    return products
  }

  /** The steps that read a product. */
  loadProduct(
    product: ProductWithTaps,
    bias: Vector | undefined,
  ): { load: VectorStep[]; release: () => void } {
    const { weight, output, chunks, taps } = product
    const { rows } = weight
    const tokenStep = this.tokens === 1 ? 0 : rows
    return {
      load: [
        { op: 'product', words: [rows, output.at, tokenStep, chunks, rows], size: rows },
        ...this.steps.after(weight, taps),
        ...(bias ? [{ op: 'bias', words: [rows, this.steps.vector(bias)], size: rows } as const] : []),
      ],
      release: () => this.y.give(output),
    }
  }

  /** The value of a slot in memory, computed now where it was not before; it is the caller's to give back. */
  kept(slot: Slot): Region {
    const source = this.source(slot)
    if (source.region) return source.region
    const region = this.activations.take(slot.width * this.tokens)
    const store: VectorStep = { op: 'store', words: [slot.width, region.at], size: slot.width }
    this.emit(vectorStage(source, [[...source.load, store]]))
    source.release()
    return region
  }

  source(slot: Slot): Source {
    const source = this.#sources.get(slot)
    if (source) return source
    throw new ReallmError('bad-option', 'an op reads a slot that no op has written')
  }

  set(slot: Slot, source: Source): void {
    this.#sources.get(slot)?.release()
    this.#sources.set(slot, source)
  }

  /** Forgets a slot whose memory somebody else gives back. */
  forget(slot: Slot): void {
    this.#sources.delete(slot)
  }

  #stored(region: Region, width: number): Source {
    return {
      ...{ role: 'enter', isHidden: false, region },
      load: [{ op: 'load', words: [width, region.at], size: width }],
      release: () => this.activations.give(region),
    }
  }
}

/** A dispatch that goes on with the value of a slot. */
export const vectorStage = ({ role, embedding }: Source, slots: readonly VectorStep[][]): Stage => ({
  ...{ kind: 'vector', role, slots },
  ...(embedding ? { embedding } : {}),
})

/** Writes a vector where products read it. */
export const inputStep = (n: number, region: Region, step: number): VectorStep => ({
  op: 'input',
  words: [n, roundUp(n), region.at, step],
  size: n,
})

/** Floats of the input of a product. */
export const roundUp = (n: number): number => 64 * Math.ceil(n / 64)

/** Whether two lists of steps do the same to an input. */
function isSame(a: readonly Step[], b: readonly Step[]): boolean {
  return (
    a.length === b.length &&
    a.every((step, i) => {
      const other = b[i]
      if (step === other) return true
      if (step.kind === 'rotate' && other.kind === 'rotate') return String(step.signs) === String(other.signs)
      if (step.kind === 'scale' && other.kind === 'scale')
        return String(step.factors) === String(other.factors)
      return false
    })
  )
}
