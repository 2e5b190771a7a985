import { bytesText, ReallmError, sizeOf } from '@reallm/tensor-io'
import { activeBackend, type Sublayer, streamWidth, sublayers } from '@reallm/transformer'
import type { MatrixModule } from './open/model-parts.ts'
import type { OpenedModel } from './open/open-model.ts'
import { releasesWeights } from './quantise/releases-weights.ts'
import { isAsymmetric, keptStatistics, layerTraining, needsHessians } from './recipes/recipe.ts'
import type { Settings } from './settings.ts'
import { tuneMemory } from './tune/tune-memory.ts'

/** What a run does at a time, so that it keeps to its memory. Results do not depend on it. */
export interface MemoryPlan {
  /** Bytes to keep to. */
  readonly most: number
  /** Bytes that the run is expected to take at its peak. */
  readonly expected: number
  /** Matrices that are encoded at a time. */
  readonly threads: number
  /** Whether the next layer is opened while the last matrices of one are encoded. */
  readonly opensAhead: boolean
  /** Whether training after rounding holds the activations of one layer at a time. */
  readonly trainsByLayer: boolean
}

/** Below it, models would be cut into thousands of files. */
export const leastMemory = 64e6

/** Bytes to keep to where nothing else is asked for. */
export const usualMemory = 2e9

/** Bytes of a process that has opened a model, and of each of its encoding threads. */
const processBytes = { native: 480e6, other: 340e6, thread: 70e6 }
/** Tokens that go through a layer at a time. */
const batchTokens = 2048
/** Activations of a layer that live at a time, each as wide as its widest. */
const activationsHeld = 5
/**
 * Copies of a matrix. It is itself in memory that threads share. While its target is solved for, the target, two steps to it and
 * the solution; while Hessians are factorised, the target and that rotated; while it is rounded, also what is rounded, and
 * parts of it that wait to be collected; then, instead of these, what it decodes to before and after rotating it back.
 */
const weightCopies = { target: 5, factoring: 3, rounding: 5 }
/** Matrices as large as a Hessian that are held beside it while it is factorised: its rotation and the factor. */
const hessianCopies = 2
/** And the scaled one, where columns get scales. */
const hessianCopiesOf = ({ uneven }: MatrixModule): number => hessianCopies + (uneven?.cols ? 1 : 0)
/** The same of output gradients, with themselves; and the feedback that is kept of the factor. */
const outputCopies = 3
/** Halves of two Hessians that are sums, in bands above the diagonal. */
const sumCopies = 1.25

type ThreadPlan = Pick<MemoryPlan, 'threads' | 'opensAhead'>

/**
 * Plans how a run keeps to its memory: first with all threads, then without opening layers ahead, then with fewer threads; training
 * after rounding first with all activations, then layer by layer.
 *
 * @param threads that encode in this process; 0 where other machines do
 * @param asked bytes; default: the usual ones, or what one matrix at a time takes where that is more
 * @throws `bad-option` when one matrix at a time takes more, or training, with what would do
 */
export function planMemory(
  model: OpenedModel,
  settings: Settings,
  threads: number,
  asked?: number,
): MemoryPlan {
  const { most, ...quantising } = planQuantising(model, settings, threads, asked)
  const { expected, trainsByLayer } = planTraining(model, settings, most)
  return { ...quantising, most, trainsByLayer, expected: Math.max(quantising.expected, expected) }
}

function planQuantising(
  model: OpenedModel,
  settings: Settings,
  threads: number,
  asked?: number,
): Omit<MemoryPlan, 'trainsByLayer'> {
  const most = asked ?? usualMemory
  const plans = [
    ...[true, false].map(opensAhead => ({ threads, opensAhead })),
    ...Array.from({ length: Math.max(0, threads - 1) }, (_, i) => ({
      threads: threads - 1 - i,
      opensAhead: false,
    })),
  ]
  for (const plan of plans) {
    const expected = expectedBytes(model, settings, plan)
    if (expected <= most) return { ...plan, most, expected }
  }
  const last = plans.at(-1)!
  const least = expectedBytes(model, settings, last)
  if (asked === undefined) return { ...last, most: least, expected: least }
  throw tooLittle(`${model.spec} takes ${bytesText(least)} of memory to compress`, most, least)
}

function planTraining(
  model: OpenedModel,
  { tune }: Settings,
  most: number,
): Pick<MemoryPlan, 'expected' | 'trainsByLayer'> {
  if (!tune) return { expected: 0, trainsByLayer: false }
  const { whole, checkpointed } = tuneMemory(model)
  const own = ownBytes()
  if (own + whole <= most) return { expected: own + whole, trainsByLayer: false }
  const least = own + checkpointed
  if (least <= most) return { expected: least, trainsByLayer: true }
  throw tooLittle(
    `training ${model.spec} takes ${bytesText(least)} of memory`,
    most,
    least,
    'leave --tune away',
  )
}

const tooLittle = (what: string, most: number, least: number, instead?: string) =>
  new ReallmError('bad-option', `${what}, more than ${bytesText(most)}`, {
    hint: [`give --max-memory ${Math.ceil(least / 1e8) / 10}GB`, instead].filter(Boolean).join(', or '),
  })

/** Whether what is disposed of is given back: the memory of WebAssembly never shrinks. Hessians are summed outside of it. */
const isNative = (): boolean => activeBackend()?.name.startsWith('native') ?? false

/** Bytes of a process that has opened a model. */
const ownBytes = () => (isNative() ? processBytes.native : processBytes.other)

/** Bytes at the peak of the layer that takes most. */
function expectedBytes({ config, parts }: OpenedModel, settings: Settings, plan: ThreadPlan): number {
  const layers = new Map<number, MatrixModule[]>()
  for (const module of parts.matrices) {
    if (module.layer !== undefined) layers.set(module.layer, [...(layers.get(module.layer) ?? []), module])
  }
  const peaks = [...layers].map(([layer, modules]) => {
    const widest = Math.max(...modules.flatMap(({ shape }) => shape), streamWidth(config))
    const activations = 4 * batchTokens * activationsHeld * widest
    const sublayersOf = sublayers(config, layer).map(sublayer => ({
      sublayer,
      groups: sublayer.groups.map(group => modules.filter(({ name }) => group.includes(name))),
    }))
    return Math.max(
      quantisingBytes(sublayersOf, activations, settings, plan),
      settings.recipe.allocate === 'measured' ? measuringBytes(sublayersOf, activations, settings, plan) : 0,
    )
  })
  return ownBytes() + plan.threads * processBytes.thread + Math.max(0, ...peaks)
}

/** A sublayer with the matrices of its projection groups. */
interface SublayerMatrices {
  readonly sublayer: Sublayer
  readonly groups: readonly (readonly MatrixModule[])[]
}

const weightBytes = (modules: readonly MatrixModule[]): number =>
  4 * modules.reduce((sum, { shape }) => sum + sizeOf(shape), 0)

const hessianBytes = ([module]: readonly MatrixModule[]): number => (module ? 4 * module.shape[1] ** 2 : 0)

/** The sum of the largest few. */
const largest = (bytes: readonly number[], count: number): number =>
  [...bytes]
    .sort((a, b) => b - a)
    .slice(0, count)
    .reduce((sum, each) => sum + each, 0)

/** While a layer is quantised: its weights, of the group what it is rounded by, and the matrices that are encoded at a time. */
function quantisingBytes(
  steps: readonly SublayerMatrices[],
  activations: number,
  { recipe, effort }: Settings,
  { threads, opensAhead }: ThreadPlan,
): number {
  const byHessians = needsHessians(recipe)
  const keep = keptStatistics(recipe, effort)
  const jobBytes = (module: MatrixModule) => {
    const [rows, cols] = module.shape
    const hessians = byHessians ? 4 * cols ** 2 : 0
    const outputs = keep.outputGradients ? 4 * rows ** 2 : 0
    const weights = 4 * rows * cols
    const target = isAsymmetric(recipe) ? weightCopies.target * weights + hessians + outputs : 0
    const factoring =
      weightCopies.factoring * weights + hessianCopiesOf(module) * hessians + outputCopies * outputs
    const rounding = weightCopies.rounding * weights + hessians + outputCopies * outputs
    return Math.max(target, factoring, rounding)
  }
  const all = steps.flatMap(({ groups }) => groups.flat())
  const whole = weightBytes(all)
  let left = whole
  const free = (modules: readonly MatrixModule[]) => {
    if (isNative()) left -= weightBytes(modules)
  }
  let peak = whole + activations
  for (const { sublayer, groups } of steps) {
    const releases = releasesWeights(sublayer, recipe)
    for (const group of groups) {
      const endsSublayer = group[0]?.name === sublayer.last
      const compared = endsSublayer ? weightBytes(group) : hessianBytes(group)
      const given = byHessians ? hessianBytes(group) + (isAsymmetric(recipe) ? compared : 0) : 0
      const gathering = left + activations + given + 3 * compared
      if (endsSublayer && releases) free(groups.flat())
      const opening = opensAhead && group === groups.at(-1) && sublayer === steps.at(-1)!.sublayer
      const ahead = opening ? whole + activations : 0
      peak = Math.max(peak, gathering, left + ahead + given + largest(group.map(jobBytes), threads))
    }
    if (!releases && !layerTraining(recipe)) free(groups.flat())
  }
  return peak
}

/** While a layer is calibrated and measured: the sums of all groups, and what the matrices of one are measured by. */
function measuringBytes(
  steps: readonly SublayerMatrices[],
  activations: number,
  { recipe }: Settings,
  { threads }: ThreadPlan,
): number {
  if (!needsHessians(recipe)) return 0
  const groups = steps.flatMap(({ groups }) => groups)
  const sums = (of: typeof groups) => of.reduce((sum, group) => sum + sumCopies * hessianBytes(group), 0)
  const measured = groups.map((group, i) => {
    const jobs = group.map(module => hessianCopiesOf(module) * hessianBytes(group))
    return sums(groups.slice(i + 1)) + 2 * hessianBytes(group) + largest(jobs, threads)
  })
  const weights = weightBytes(groups.flat())
  const left = isNative() ? 0 : weights
  return Math.max(weights + activations + sums(groups), left + Math.max(...measured))
}
