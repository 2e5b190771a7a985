import { bytesText, ReallmError, sizeOf } from '@reallm/tensor-io'
import { activeBackend, streamWidth } from '@reallm/transformer'
import type { MatrixModule } from './open/model-parts.ts'
import type { OpenedModel } from './open/open-model.ts'
import { isAsymmetric, keptStatistics, needsHessians } from './recipes/recipe.ts'
import type { Settings } from './settings.ts'

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
/** Copies of a matrix that encoding it holds: weights, target, its transpose, errors, what it decodes to. */
const weightCopies = 6
/** Matrices as large as a Hessian that rounding holds beside it: its rotation, the factor, and one that is being made. */
const hessianCopies = 3

/**
 * Plans how a run keeps to its memory: first with all threads, then without opening layers ahead, then with fewer threads.
 *
 * @param threads that encode in this process; 0 where other machines do
 * @param asked bytes; default: the usual ones, or what one matrix at a time takes where that is more
 * @throws `bad-option` when one matrix at a time takes more, with what would do
 */
export function planMemory(
  model: OpenedModel,
  settings: Settings,
  threads: number,
  asked?: number,
): MemoryPlan {
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
  throw new ReallmError(
    'bad-option',
    `${model.spec} takes ${bytesText(least)} of memory to compress, more than ${bytesText(most)}`,
    { hint: `give --max-memory ${Math.ceil(least / 1e8) / 10}GB` },
  )
}

/** Bytes at the peak of the layer that takes most: its weights, activations, the Hessians of a group, and matrices being encoded. */
function expectedBytes(
  { config, parts }: OpenedModel,
  settings: Settings,
  { threads, opensAhead }: Pick<MemoryPlan, 'threads' | 'opensAhead'>,
): number {
  const { recipe, effort } = settings
  const keep = keptStatistics(recipe, effort)
  const measures = recipe.allocate === 'measured'
  const layers = new Map<number, MatrixModule[]>()
  for (const module of parts.matrices) {
    if (module.layer !== undefined) layers.set(module.layer, [...(layers.get(module.layer) ?? []), module])
  }
  let peak = 0
  for (const modules of layers.values()) {
    const widest = Math.max(...modules.flatMap(({ shape }) => shape), streamWidth(config))
    const weights = 4 * modules.reduce((sum, { shape }) => sum + sizeOf(shape), 0)
    const activations = 4 * batchTokens * activationsHeld * widest
    const jobs = modules.map(({ shape: [rows, cols] }) => {
      const hessian = needsHessians(recipe) ? hessianCopies * 4 * cols ** 2 : 0
      const outputs = keep.outputGradients ? (hessianCopies + 1) * 4 * rows ** 2 : 0
      return { own: weightCopies * 4 * rows * cols + hessian + outputs, cols }
    })
    const largest = jobs.map(({ own }) => own).sort((a, b) => b - a)
    const encoding = largest.slice(0, threads).reduce((sum, bytes) => sum + bytes, 0)
    const gathered = needsHessians(recipe) ? 4 * Math.max(...jobs.map(({ cols }) => cols ** 2)) : 0
    const given = isAsymmetric(recipe) ? 2 * gathered : gathered
    const quantising = weights * (opensAhead ? 2 : 1) + (opensAhead ? activations : 0) + given + encoding
    const groups = [...new Map(modules.map(m => [m.group ?? m.name, m.shape[1]])).values()]
    const sums = 4 * groups.reduce((sum, cols) => sum + 1.25 * cols ** 2, 0)
    const measuring = measures ? Math.max(weights + sums, sums + given + hessianCopies * gathered) : 0
    peak = Math.max(peak, quantising, weights + activations + given, measuring)
  }
  const own = activeBackend()?.name.startsWith('native') ? processBytes.native : processBytes.other
  return own + threads * processBytes.thread + peak
}
