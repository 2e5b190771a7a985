import type { Allocation } from '../allocate/allocate-bits.ts'
import type { Checkpoint } from '../checkpoint/checkpoint.ts'
import type { Duration } from '../output/clock.ts'
import { needsHessians } from '../recipes/recipe.ts'
import type { Start } from '../start.ts'
import { activationSeconds } from './activation-seconds.ts'
import { encodingTimes } from './encoding-times.ts'

/**
 * Says how long quantising takes, from pieces of that work which are done for it: made-up matrices of a few rows in each
 * configuration, and layers on one or two sequences. The rest is taken to be as fast, operation for operation.
 *
 * @param checkpoint with the statistics of the calibration
 * @returns by the clock where each thread has a core of its own; undefined for recipes that train, and where other machines encode
 */
export async function planTime(
  start: Start,
  allocation: Allocation,
  checkpoint: Checkpoint,
): Promise<Duration | undefined> {
  const { settings, memory, importance } = start
  const { recipe, sequential } = settings
  const { matrices } = allocation
  const trains = matrices.some(({ configuration: { trials, shared } }) => trials || shared)
  if (recipe.quantise.kind === 'joint' || recipe.quantise.tune || trains || memory.threads === 0)
    return undefined
  const passes = needsHessians(recipe) && !importance
  const own = passes ? await activationSeconds({ ...start, allocation, checkpoint }) : 0
  const secondsOf = encodingTimes(settings)
  const groups = new Map<string, number[]>()
  for (const matrix of matrices) {
    const { group, name, layer } = matrix.module
    const key = sequential && layer !== undefined ? (group ?? name) : ''
    groups.set(key, [...(groups.get(key) ?? []), await secondsOf(matrix)])
  }
  const jobs = [...groups].map(([key, each]) => ({
    cpu: sum(each),
    // Embedding and head are worked on by all threads, and so are matrices that wait for no others.
    wall: key === '' ? sum(each) / memory.threads : longest(each, memory.threads),
  }))
  return {
    seconds: own + sum(jobs.map(({ wall }) => wall)),
    cpuSeconds: own + sum(jobs.map(({ cpu }) => cpu)),
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, each) => total + each, 0)

/** When the last of several jobs ends that are started in order by so many threads. */
function longest(jobs: readonly number[], threads: number): number {
  const ends = new Array<number>(threads).fill(0)
  for (const job of jobs) {
    const first = ends.indexOf(Math.min(...ends))
    ends[first] += job
  }
  return Math.max(...ends)
}
