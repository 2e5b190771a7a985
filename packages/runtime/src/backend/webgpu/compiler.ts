import { type AttentionKernel, attentionTokens, BAND_ROWS, partialFloats } from '@reallm/kernels/webgpu'
import { ReallmError } from '@reallm/tensor-io'
import type { Activation } from '@reallm/tensor-io/models'
import type { NormOp, Op, Slot } from '../op.ts'
import type { Vector } from '../weight.ts'
import { Arena, type Region } from './arena.ts'
import { floatWord, type Product, type Role, type Stage, type VectorStep } from './stage.ts'
import { type Shared, Steps } from './steps.ts'
import { type GpuWeight, isTrellis, type Step } from './weight.ts'

/** Workgroups that keep a device busy. */
const BUSY = 256
/** Tile columns of a chunk at least, and chunks of a product at most. */
const [LEAST_COLUMNS, MOST_CHUNKS] = [8, 8]
/** Parts that the keys of a text are split into at most. */
export const MOST_PARTS = 64

type OpOf<Kind extends Op['kind']> = Extract<Op, { readonly kind: Kind }>

/** How the values of a slot come about: as a list of steps of whoever needs them. */
interface Source {
  readonly role: Role
  readonly load: readonly VectorStep[]
  /** Whether it should be kept once it has been computed: hidden states are needed again. */
  readonly isHidden: boolean
  readonly embedding?: GpuWeight | undefined
  release(): void
}

/**
 * Turns ops into stages, each one dispatch or a few: what happens to a vector between two products is put off until the next
 * product needs it, and becomes part of one kernel.
 */
export class Compiler {
  readonly stages: Stage[] = []
  readonly headStages: Stage[] = []
  readonly x = new Arena()
  readonly y = new Arena()
  readonly activations = new Arena()
  readonly partials = new Arena()
  readonly #shared: Shared
  readonly #steps: Steps
  readonly #tokens: number
  readonly #sources = new Map<Slot, Source>()
  #out = this.stages

  constructor(shared: Shared, tokens: number) {
    this.#shared = shared
    this.#steps = new Steps(shared, this.x)
    this.#tokens = tokens
  }

  add(op: Op): void {
    switch (op.kind) {
      case 'embed':
        this.#embed(op)
        break
      case 'project':
        this.#project(op)
        break
      case 'attend':
        this.#attend(op)
        break
      case 'gated-product':
        this.#gatedProduct(op)
        break
      case 'residual':
        this.#residual(op)
        break
      case 'head':
        this.#head(op)
        break
      default:
        throw new ReallmError('unsupported', `the WebGPU backend knows no ${op.kind}`, {
          hint: "load the model with device: 'wasm'",
        })
    }
  }

  #embed({ weight, scale, to }: OpOf<'embed'>): void {
    const w = weight as GpuWeight
    if (w.pieces.length > 1 || w.after.some(step => step.kind === 'rotate')) {
      throw new ReallmError(
        'unsupported',
        `the embedding [${w.rows}×${w.cols}] cannot be looked up on this GPU`,
        {
          hint: "load it with device: 'wasm'",
        },
      )
    }
    const { blob, place } = w.pieces[0]
    const words = isTrellis(blob)
      ? [
          ...[place.at, Math.ceil(blob.cols / 16), Math.ceil(blob.rows / 16), place.at + blob.scalesAt],
          ...[blob.scaleStep, this.#shared.tables.place(blob.tables), 0, 0],
        ]
      : [
          ...[
            place.at + blob.codes,
            blob.rowWords,
            Math.ceil(blob.cols / 8),
            Math.ceil(blob.cols / blob.group),
          ],
          ...[place.at + blob.table, place.at + blob.scales, place.at + blob.shifts, blob.group],
        ]
    const load: VectorStep[] = [{ op: 'embed', words: [floatWord(scale), ...words], size: w.cols }]
    // A row of S T W' is a row of W' that goes through what an input goes through, backwards.
    for (const step of w.before.toReversed()) {
      if (step.kind === 'scale') load.push(this.#steps.scale(step.factors))
      else if (step.kind === 'rotate') load.push(this.#steps.rotate('rotateOutput', step))
      else
        throw new ReallmError('unsupported', 'an embedding with a low-rank part cannot be looked up on a GPU')
    }
    if (w.after.length > 0) throw new ReallmError('unsupported', 'an embedding whose rows are scaled again')
    this.#set(to, { role: 'enter', load, isHidden: true, embedding: w, release() {} })
  }

  #project({ from, norm, members }: OpOf<'project'>): void {
    const stage = members.map(({ weight }) => weight as GpuWeight)
    const products = this.#products(from, norm, stage)
    for (const [m, { bias, parts }] of members.entries()) {
      let users = parts.length
      for (const { row, to } of parts) {
        const { load, release } = this.#loadProduct(products[m], bias)
        const isWhole = row === 0 && to.width === products[m].weight.rows
        const slice: VectorStep = { op: 'slice', words: [to.width, row], size: to.width }
        this.#set(to, {
          role: 'enter',
          load: isWhole ? load : [...load, slice],
          isHidden: false,
          release: () => {
            if (--users === 0) release()
          },
        })
      }
    }
  }

  #attend(op: OpOf<'attend'>): void {
    const { spec, layer, norms, query, key, value, to } = op
    const { heads, kvHeads, headDim, rope, window, softcap, scale } = spec
    const normsValues = spec.valueNormEps !== undefined
    if (spec.sinks || normsValues || headDim % 4 !== 0) {
      const what = spec.sinks
        ? 'attention with sinks'
        : normsValues
          ? 'norms of values'
          : `heads of ${headDim} dimensions`
      throw new ReallmError('unsupported', `the WebGPU backend knows no ${what}`, {
        hint: "load the model with device: 'wasm'",
      })
    }
    const width = heads * headDim
    const input = this.x.take(width * this.#tokens)
    const placed = (slot: Slot, norm: NormOp | undefined, isQuery: boolean): VectorStep[] => {
      const n = isQuery ? width : slot.width
      const picked = isQuery && spec.gated ? [pick(width, headDim, 0)] : []
      const normed = norm ? [this.#steps.norm(norm, n)] : []
      const turned = rope ? [this.#steps.rope(rope, isQuery, n, headDim)] : []
      const steps = spec.qkNorm?.afterRope ? [...turned, ...normed] : [...normed, ...turned]
      return [...this.#source(slot).load, ...picked, ...steps]
    }
    const cached = (slot: Slot, which: 0 | 1): VectorStep => ({
      op: 'cache',
      words: [slot.width, which],
      size: slot.width,
    })
    this.#out.push({
      kind: 'vector',
      role: 'heads',
      layer,
      slots: [
        [
          ...placed(query, norms?.query, true),
          { op: 'input', words: [width, width, input.at, width], size: width },
        ],
        [...placed(key, norms?.key, false), cached(key, 0)],
        [...this.#source(value).load, cached(value, 1)],
      ],
    })
    const group = heads / kvHeads
    const parts = this.#tokens === 1 ? MOST_PARTS : 1
    const output = this.partials.take(this.#tokens * heads * parts * partialFloats(headDim))
    const kernel: AttentionKernel = {
      ...{ headDim, group, cache: this.#shared.cache },
      tokens: this.#tokens === 1 ? 1 : attentionTokens(group),
    }
    const words = [heads, window ?? 0, floatWord(scale), floatWord(softcap ?? 0), input.at, output.at]
    this.#out.push({ kind: 'attention', kernel, kvHeads, layer, words })
    this.x.give(input)
    const read: VectorStep = { op: 'attended', words: [heads, headDim, output.at], size: width }
    const gate = spec.gated
      ? [
          ...this.#source(query).load,
          pick(width, headDim, 1),
          { op: 'keep', words: [width], size: width } as const,
        ]
      : []
    this.#set(to, {
      role: 'attended',
      load: spec.gated ? [...gate, read, { op: 'gate', words: [width, SIGMOID], size: width }] : [read],
      isHidden: false,
      release: () => this.partials.give(output),
    })
  }

  #gatedProduct({ gate, up, to, activation }: OpOf<'gated-product'>): void {
    const [g, u] = [this.#source(gate), this.#source(up)]
    const { width } = to
    const kinds: Readonly<Record<Activation, number>> = { silu: 0, gelu_pytorch_tanh: 1, gelu: 2 }
    const load: VectorStep[] = [
      ...g.load,
      { op: 'keep', words: [width], size: width },
      ...u.load,
      { op: 'gate', words: [width, kinds[activation]], size: width },
    ]
    this.#sources.delete(gate)
    this.#sources.delete(up)
    this.#set(to, {
      role: 'gated',
      load,
      isHidden: false,
      release() {
        g.release()
        u.release()
      },
    })
  }

  #residual({ from, weight, bias, norm, scale, hidden }: OpOf<'residual'>): void {
    const [product] = this.#products(from, undefined, [weight as GpuWeight])
    const base = this.#kept(hidden)
    const { load, release } = this.#loadProduct(product, bias)
    const width = product.weight.rows
    this.#sources.delete(hidden)
    this.#set(hidden, {
      role: 'enter',
      load: [
        ...load,
        ...(norm ? [this.#steps.norm(norm, width)] : []),
        { op: 'residual', words: [width, base.at, floatWord(scale)], size: width },
      ],
      isHidden: true,
      release: () => {
        release()
        this.activations.give(base)
      },
    })
  }

  #head({ from, norm, weight, scale, softcap }: OpOf<'head'>): void {
    this.#out = this.headStages
    const w = weight as GpuWeight
    const source = this.#source(from)
    const input = this.x.take(roundUp(w.cols))
    const taps = new Map<Step, number>()
    this.#out.push({
      kind: 'vector',
      role: source.role,
      ...(source.embedding ? { embedding: source.embedding } : {}),
      slots: [
        [
          ...source.load,
          ...(norm ? [this.#steps.norm(norm, from.width)] : []),
          ...this.#steps.before(w, taps),
          this.#input(w.cols, input, 0),
        ],
      ],
    })
    const output = this.y.take(w.rows)
    const isPlain = w.after.length === 0 && scale === 1 && softcap === undefined
    const product: Product = { weight: w, input, inputStep: 0, output, outputStep: w.rows, chunks: 1 }
    const direct: Product = { ...product, output: { at: 0, size: w.rows } }
    this.#out.push({ kind: 'product', products: [isPlain ? direct : product], isHead: isPlain })
    if (isPlain) return
    let place = output.at
    if (w.after.length > 0) {
      const finished = this.x.take(w.rows)
      place = finished.at
      const loaded: VectorStep = { op: 'product', words: [w.rows, output.at, 0, 1, 0], size: w.rows }
      const stored: VectorStep = { op: 'input', words: [w.rows, w.rows, place, 0], size: w.rows }
      this.#out.push({
        kind: 'vector',
        role: 'logits',
        slots: [[loaded, ...this.#steps.after(w, taps), stored]],
      })
    }
    const words = [w.rows, place, floatWord(scale), floatWord(softcap ?? 0)]
    this.#out.push({ kind: 'logits', count: w.rows, from: w.after.length > 0 ? 'x' : 'y', words })
  }

  /** Products of the value of a slot; what they multiply goes to inputs, those of one kind shared. */
  #products(from: Slot, norm: NormOp | undefined, weights: readonly GpuWeight[]): ProductWithTaps[] {
    const source = this.#source(from)
    const inputs: { before: readonly Step[]; region: Region; step: number; taps: Map<Step, number> }[] = []
    const slots: VectorStep[][] = []
    const kept = source.isHidden ? this.activations.take(from.width * this.#tokens) : undefined
    const products = weights.map((weight): ProductWithTaps => {
      let input = inputs.find(({ before }) => isSame(before, weight.before))
      if (!input) {
        const step = roundUp(weight.cols)
        input = { before: weight.before, region: this.x.take(step * this.#tokens), step, taps: new Map() }
        const store: VectorStep[] =
          kept && inputs.length === 0 ? [{ op: 'store', words: [from.width, kept.at], size: from.width }] : []
        inputs.push(input)
        slots.push([
          ...source.load,
          ...store,
          ...(norm ? [this.#steps.norm(norm, from.width)] : []),
          ...this.#steps.before(weight, input.taps),
          this.#input(weight.cols, input.region, step),
        ])
      }
      const chunks = this.#tokens === 1 ? chunksOf(weights, weight) : 1
      const output = this.y.take(weight.rows * Math.max(chunks, this.#tokens))
      return {
        ...{ weight, chunks, output, input: input.region, inputStep: input.step, outputStep: weight.rows },
        taps: input.taps,
      }
    })
    const embedding = source.embedding ? { embedding: source.embedding } : {}
    this.#out.push({ kind: 'vector', role: source.role, slots, ...embedding })
    this.#out.push({ kind: 'product', products, isHead: false })
    for (const { region } of inputs) this.x.give(region)
    if (kept) this.#set(from, this.#stored(kept, from.width))
    return products
  }

  #loadProduct(
    product: ProductWithTaps,
    bias: Vector | undefined,
  ): { load: VectorStep[]; release: () => void } {
    const { weight, output, chunks, taps } = product
    const { rows } = weight
    const tokenStep = this.#tokens === 1 ? 0 : rows
    return {
      load: [
        { op: 'product', words: [rows, output.at, tokenStep, chunks, rows], size: rows },
        ...this.#steps.after(weight, taps),
        ...(bias ? [{ op: 'bias', words: [rows, this.#steps.vector(bias)], size: rows } as const] : []),
      ],
      release: () => this.y.give(output),
    }
  }

  #input(n: number, region: Region, step: number): VectorStep {
    return { op: 'input', words: [n, roundUp(n), region.at, step], size: n }
  }

  #stored(region: Region, width: number): Source & { readonly region: Region } {
    return {
      ...{ role: 'enter', isHidden: false, region },
      load: [{ op: 'load', words: [width, region.at], size: width }],
      release: () => this.activations.give(region),
    }
  }

  /** The value of a slot in memory, computed now where it was not before; it is the caller's to give back. */
  #kept(slot: Slot): Region {
    const source = this.#source(slot)
    if ('region' in source) return source.region as Region
    const region = this.activations.take(slot.width * this.#tokens)
    const store: VectorStep = { op: 'store', words: [slot.width, region.at], size: slot.width }
    const embedding = source.embedding ? { embedding: source.embedding } : {}
    this.#out.push({ kind: 'vector', role: source.role, slots: [[...source.load, store]], ...embedding })
    source.release()
    return region
  }

  #source(slot: Slot): Source {
    const source = this.#sources.get(slot)
    if (source) return source
    throw new ReallmError('bad-option', 'an op reads a slot that no op has written')
  }

  #set(slot: Slot, source: Source): void {
    this.#sources.get(slot)?.release()
    this.#sources.set(slot, source)
  }
}

interface ProductWithTaps extends Product {
  readonly taps: Map<Step, number>
}

/** The activation of a kernel that multiplies by the sigmoid of a gate. */
const SIGMOID = 3

/** Of each head's query and gate, one of the two. */
const pick = (n: number, headDim: number, part: 0 | 1): VectorStep => ({
  op: 'pick',
  words: [n, headDim, part],
  size: 2 * n,
})

const roundUp = (n: number): number => 64 * Math.ceil(n / 64)

function chunksOf(group: readonly GpuWeight[], { cols }: GpuWeight): number {
  if (!group.every(({ pieces }) => isTrellis(pieces[0].blob))) return 1
  const bands = group.reduce((sum, { rows }) => sum + Math.ceil(rows / BAND_ROWS), 0)
  const most = Math.min(MOST_CHUNKS, Math.floor(cols / (16 * LEAST_COLUMNS)))
  return Math.max(1, Math.min(most, Math.ceil(BUSY / bands)))
}

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
