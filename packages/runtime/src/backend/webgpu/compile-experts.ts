import type { Expert, Experts, Slot } from '../op.ts'
import type { Region } from './arena.ts'
import { type Compiler, inputStep, onlyFor, type ProductWithTaps, roundUp } from './compiler.ts'
import { gateSteps } from './gate-steps.ts'
import { type Chosen, floatWord, type VectorStep } from './stage.ts'
import type { GpuWeight } from './weight.ts'

/** Floats between the products of experts that are computed side by side, at most: of all tokens, and of one. */
const [MOST_FLOATS, MOST_OF_TOKEN] = [2 ** 23, 2 ** 19]

interface Routed extends Chosen {
  readonly expert: Expert
  /** Undefined where all tokens reach it. */
  readonly chosen: Chosen | undefined
}

/**
 * The device chooses: shares of all experts go to memory, and what belongs to an expert is left out where its share is 0. Experts are
 * computed side by side, as many as memory is meant to hold, and added up.
 */
export function compileExperts(c: Compiler, op: Experts): void {
  const { spec, norm, experts, shared, after, scale, hidden } = op
  const { width } = hidden
  const shares = route(c, op)
  const all = [...experts, ...(shared ? [shared] : [])].map((expert, e): Routed => {
    const chosen = { shares: shares.at + e * c.tokens, part: spec.chosen / experts.length }
    return { ...chosen, expert, chosen: expert === shared ? undefined : chosen }
  })
  const base = c.kept(hidden)
  let before: Region | undefined
  let mixed: { readonly load: VectorStep[]; release(): void } | undefined
  for (const group of groupsOf(c, all)) {
    if (mixed) {
      const sum = c.activations.take(width * c.tokens)
      const store: VectorStep = { op: 'store', words: [width, sum.at], size: width }
      c.emit({ kind: 'vector', role: 'enter', slots: [[...mixed.load, store]] })
      mixed.release()
      before = sum
    }
    mixed = mix(c, group, hidden, norm, before)
  }
  const { load, release } = mixed!
  c.forget(hidden)
  c.set(hidden, {
    ...{ role: 'enter', isHidden: true },
    load: [
      ...load,
      ...(after ? [c.steps.norm(after, width)] : []),
      { op: 'residual', words: [width, base.at, floatWord(scale)], size: width },
    ],
    release() {
      release()
      c.y.give(shares)
      c.activations.give(base)
    },
  })
}

/** Where the shares of the experts are in `y`, `[experts, tokens]`, those of a shared one after them. */
function route(c: Compiler, { spec, norm, router, experts, shared, hidden }: Experts): Region {
  const [scores] = c.products(hidden, norm, [router.weight as GpuWeight])
  const { load, release } = c.loadProduct(scores, router.bias)
  const count = experts.length
  const shares = c.y.take((count + 1) * c.tokens)
  const [ofAll, isShared] = [Number(spec.softmaxOver === 'all'), Number(shared !== undefined)]
  const words = [count, spec.chosen, shares.at, c.tokens, ofAll, isShared]
  c.emit({ kind: 'vector', role: 'route', slots: [[...load, { op: 'route', words, size: count }]] })
  release()
  return shares
}

function groupsOf(c: Compiler, all: readonly Routed[]): Routed[][] {
  const most = Math.min(MOST_OF_TOKEN, MOST_FLOATS / c.tokens)
  const groups: Routed[][] = []
  let floats = Number.POSITIVE_INFINITY
  for (const routed of all) {
    const { members, weight } = routed.expert
    const own = members.reduce(
      (sum, { weight: { rows, cols } }) => sum + rows + cols,
      weight.rows + weight.cols,
    )
    if (floats + own > most) {
      groups.push([])
      floats = 0
    }
    groups.at(-1)!.push(routed)
    floats += own
  }
  return groups
}

/** The steps that add up what a group of experts makes of the hidden states, after what others have made of them. */
function mix(
  c: Compiler,
  group: readonly Routed[],
  hidden: Slot,
  norm: Experts['norm'],
  before: Region | undefined,
): { readonly load: VectorStep[]; release(): void } {
  const { width } = hidden
  const members = group.flatMap(({ expert, chosen }) => expert.members.map(member => ({ ...member, chosen })))
  const weights = members.map(({ weight }) => weight as GpuWeight)
  const inner = c.products(
    hidden,
    norm,
    weights,
    members.map(({ chosen }) => chosen),
  )
  let first = 0
  const gated = group.map(({ expert, chosen }) => {
    const products = inner.slice(first, (first += expert.members.length))
    return { load: gatedOf(c, expert, products), weight: expert.weight as GpuWeight, chosen }
  })
  const outputs = productsOf(c, gated)
  for (const { output } of inner) c.y.give(output)
  const start: VectorStep[] = before
    ? [
        { op: 'load', words: [width, before.at, width], size: width },
        { op: 'keep', words: [width], size: width },
      ]
    : [{ op: 'clear', words: [width], size: width }]
  const added = group.flatMap(({ expert, chosen, shares }, e) =>
    onlyFor(chosen, [
      ...c.loadProduct(outputs[e], expert.bias).load,
      { op: 'mix', words: [width, shares], size: width },
    ]),
  )
  return {
    load: [...start, ...added, { op: 'recall', words: [width], size: width }],
    release() {
      for (const { output } of outputs) c.y.give(output)
      if (before) c.activations.give(before)
    },
  }
}

/** The steps that make an expert's gated product. */
function gatedOf(
  c: Compiler,
  { members, gate, up, spec }: Expert,
  products: readonly ProductWithTaps[],
): VectorStep[] {
  const [ofGate, ofUp] = [gate, up].map(slot => {
    const m = members.findIndex(({ parts }) => parts.some(({ to }) => to === slot))
    const part = members[m].parts.find(({ to }) => to === slot)!
    return c.loadPart(products[m], members[m].bias, part).load
  })
  return gateSteps(ofGate, ofUp, gate.width, spec)
}

/** Products with matrices of experts, each of an input of its own that is made by its own steps. */
function productsOf(
  c: Compiler,
  all: readonly {
    readonly load: readonly VectorStep[]
    readonly weight: GpuWeight
    readonly chosen: Chosen | undefined
  }[],
): ProductWithTaps[] {
  const weights = all.map(({ weight }) => weight)
  const slots: VectorStep[][] = []
  const products = all.map(({ load, weight, chosen }) => {
    const step = roundUp(weight.cols)
    const input = { region: c.x.take(step * c.tokens), step, taps: new Map() }
    const before = c.steps.before(weight, input.taps)
    slots.push(onlyFor(chosen, [...load, ...before, inputStep(weight.cols, input.region, step)]))
    return c.product(weight, weights, input, chosen)
  })
  c.emit({ kind: 'vector', role: 'gated', slots }, { kind: 'product', products, isHead: false })
  for (const { input } of products) c.x.give(input)
  return products
}
