import { ReallmError } from '@reallm/tensor-io'
import type { NormOp, Part, Slot } from '../op.ts'
import type { Vector } from '../weight.ts'
import { Arena, type Region } from './arena.ts'
import { chunksOf } from './chunks.ts'
import { type Chosen, type Product, type Role, type Stage, stageWords, type VectorStep } from './stage.ts'
import { type Shared, Steps } from './steps.ts'
import type { GpuWeight, Piece, Step } from './weight.ts'

/** How the values of a slot come about: as a list of steps of whoever needs them. */
export interface Source {
  readonly role: Role
  readonly load: readonly VectorStep[]
  /** Whether it should be kept once it has been computed: hidden states are needed again. */
  readonly isHidden: boolean
  readonly embedding?: Piece | undefined
  /** Where it is in memory already. */
  readonly region?: Region
  release(): void
}

/** A product, and where the low-rank parts beside it are kept. */
export interface ProductWithTaps extends Product {
  readonly taps: Map<Step, number>
}

/** Steps that read something, and what gives its memory back. */
interface Loaded {
  readonly load: VectorStep[]
  readonly release: () => void
}

/** What products read: a vector for each token, and what low-rank parts keep of it. */
interface Input {
  readonly region: Region
  readonly step: number
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

  /**
   * Products of the value of a slot; what they multiply goes to inputs, those of one kind shared.
   *
   * @param experts whose matrices the weights are, where they are experts'
   */
  products(
    from: Slot,
    norm: NormOp | undefined,
    weights: readonly GpuWeight[],
    experts: readonly (Chosen | undefined)[] = [],
  ): ProductWithTaps[] {
    const source = this.source(from)
    const inputs: (Input & {
      readonly before: readonly Step[]
      readonly users: Set<Chosen | undefined>
    })[] = []
    const slots: VectorStep[][] = []
    const kept = source.isHidden ? this.activations.take(from.width * this.tokens) : undefined
    const products = weights.map((weight, w): ProductWithTaps => {
      let input = inputs.find(({ before }) => isSame(before, weight.before))
      if (!input) {
        const step = roundUp(weight.cols)
        input = {
          ...{ before: weight.before, users: new Set(), step, taps: new Map() },
          region: this.x.take(step * this.tokens),
        }
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
      input.users.add(experts[w])
      return this.product(weight, weights, input, experts[w])
    })
    const lists = slots.map((slot, n) => {
      const [user, ...others] = inputs[n].users
      return others.length > 0 ? slot : onlyFor(user, slot)
    })
    this.emit(vectorStage(source, lists), { kind: 'product', products, isHead: false })
    for (const { region } of inputs) this.x.give(region)
    if (kept) this.set(from, this.#stored(kept, from.width))
    return products
  }

  /** A product with what an input was made into. */
  product(
    weight: GpuWeight,
    beside: readonly GpuWeight[],
    { region, step, taps }: Input,
    expert?: Chosen,
  ): ProductWithTaps {
    const chunks = this.tokens === 1 ? chunksOf(beside, weight) : 1
    const output = this.y.take(weight.rows * Math.max(chunks, this.tokens))
    return {
      ...{ weight, chunks, output, input: region, inputStep: step, outputStep: weight.rows },
      ...{ taps, expert },
    }
  }

  /** The steps that read a product. */
  loadProduct(product: ProductWithTaps, bias: Vector | undefined): Loaded {
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

  /** The steps that read some rows of a product. */
  loadPart(product: ProductWithTaps, bias: Vector | undefined, { row, to: { width } }: Part): Loaded {
    const { load, release } = this.loadProduct(product, bias)
    const isWhole = row === 0 && width === product.weight.rows
    return { load: isWhole ? load : [...load, { op: 'slice', words: [width, row], size: width }], release }
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
      load: [{ op: 'load', words: [width, region.at, width], size: width }],
      release: () => this.activations.give(region),
    }
  }
}

/** Steps that are left out for tokens that have not chosen an expert. */
export const onlyFor = (expert: Chosen | undefined, steps: readonly VectorStep[]): VectorStep[] =>
  expert
    ? [{ op: 'only', words: [expert.shares, stageWords([steps]).length - 2], size: 0 }, ...steps]
    : [...steps]

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
      if (step.kind === 'rotate' && other.kind === 'rotate') return isEqual(step.signs, other.signs)
      return step.kind === 'scale' && other.kind === 'scale' && isEqual(step.factors, other.factors)
    })
  )
}

const isEqual = <T extends Uint32Array | Float32Array>(a: T, b: T): boolean =>
  a.length === b.length && a.every((v, i) => v === b[i])
