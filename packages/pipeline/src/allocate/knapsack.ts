import { ReallmError } from '@reallm/tensor-io'

/** One way to store one matrix: its exact size, and what it loses (any unit that adds up over matrices). */
export interface Candidate {
  readonly bytes: number
  readonly loss: number
}

/** A point of the frontier: the best that a size can buy. */
export interface Solution {
  /** Index of the candidate chosen for each matrix. */
  readonly choice: number[]
  readonly bytes: number
  readonly loss: number
}

interface Step {
  readonly item: number
  readonly bytes: number
  readonly gain: number
}

interface State {
  readonly bytes: number
  readonly loss: number
  readonly candidate: number
  readonly before: State | undefined
}

/** Solutions closer than this to the optimum (relative) are taken for it. */
const tolerance = 1e-6

/**
 * Splits a budget of bytes over matrices, one candidate each, so that the summed loss is least: the
 * multiple-choice knapsack of LQ-LoRA §3.2, solved by dynamic programming over undominated (bytes, loss)
 * states, pruned with the bound of the linear relaxation. The loss found is within 1e-6 of the optimum.
 *
 * @throws `bad-option` when not even the smallest candidates fit.
 * @example
 * allocate([[{ bytes: 10, loss: 4 }, { bytes: 20, loss: 1 }], [{ bytes: 5, loss: 1 }]], 26).choice // [1, 0]
 */
export function allocate(matrices: readonly (readonly Candidate[])[], budget: number): Solution {
  const undominated = matrices.map(paretoIndices)
  const smallest = undominated.map((indices, i) => matrices[i][indices[0]])
  const least = smallest.reduce((sum, c) => sum + c.bytes, 0)
  if (least > budget) {
    throw new ReallmError(
      'bad-option',
      `${budget} bytes are too few: the smallest candidates take ${least} bytes`,
      { hint: `ask for at least ${least} bytes, or another recipe` },
    )
  }
  const order = matrices
    .map((_, i) => i)
    .sort((a, b) => spread(matrices[b], undominated[b]) - spread(matrices[a], undominated[a]) || a - b)
  const steps = matrices.flatMap((candidates, i) => hullSteps(candidates, undominated[i], i))
  steps.sort((a, b) => b.gain / b.bytes - a.gain / a.bytes || a.item - b.item)
  let best = greedy(matrices, undominated, steps, budget)
  const position = new Map(order.map((item, at) => [item, at]))

  let states: State[] = [{ bytes: 0, loss: 0, candidate: -1, before: undefined }]
  for (let at = 0; at < order.length; at++) {
    const item = order[at]
    const rest = order.slice(at + 1)
    const bound = relaxation(
      rest.reduce((sum, i) => sum + smallest[i].bytes, 0),
      rest.reduce((sum, i) => sum + smallest[i].loss, 0),
      steps.filter(step => position.get(step.item)! > at),
    )
    const next: State[] = []
    for (const state of states) {
      for (const candidate of undominated[item]) {
        const { bytes, loss } = matrices[item][candidate]
        const reached = { bytes: state.bytes + bytes, loss: state.loss + loss }
        const hope = reached.loss + bound(budget - reached.bytes)
        if (hope < best.loss - tolerance * Math.abs(best.loss)) {
          next.push({ ...reached, candidate, before: state })
        }
      }
    }
    states = withoutDominated(next)
  }
  const found = states.at(-1)
  if (found) best = { ...traceBack(found, order), bytes: found.bytes, loss: found.loss }
  return best
}

/**
 * Allocations along the whole range of sizes, smallest first: the vertices of the lower convex hull, each the
 * optimum of its own size.
 */
export function frontier(matrices: readonly (readonly Candidate[])[]): Solution[] {
  const undominated = matrices.map(paretoIndices)
  const steps = matrices.flatMap((candidates, i) => hullSteps(candidates, undominated[i], i))
  steps.sort((a, b) => b.gain / b.bytes - a.gain / a.bytes || a.item - b.item)
  const hulls = matrices.map((candidates, i) => hullIndices(candidates, undominated[i]))
  const level = matrices.map(() => 0)
  const point = (): Solution =>
    total(
      matrices,
      hulls.map((hull, i) => hull[level[i]]),
    )
  const points = [point()]
  for (const step of steps) {
    level[step.item]++
    points.push(point())
  }
  return points
}

function total(matrices: readonly (readonly Candidate[])[], choice: number[]): Solution {
  const chosen = choice.map((c, i) => matrices[i][c])
  return {
    choice,
    bytes: chosen.reduce((sum, c) => sum + c.bytes, 0),
    loss: chosen.reduce((sum, c) => sum + c.loss, 0),
  }
}

/** Candidates that no smaller or equal one beats, by growing size. */
function paretoIndices(candidates: readonly Candidate[]): number[] {
  const bySize = candidates
    .map((_, i) => i)
    .sort((a, b) => candidates[a].bytes - candidates[b].bytes || candidates[a].loss - candidates[b].loss)
  const kept: number[] = []
  for (const i of bySize) {
    if (kept.length === 0 || candidates[i].loss < candidates[kept.at(-1)!].loss) kept.push(i)
  }
  return kept
}

/** The undominated candidates on the lower convex hull. */
function hullIndices(candidates: readonly Candidate[], undominated: readonly number[]): number[] {
  const slope = (a: number, b: number) =>
    (candidates[a].loss - candidates[b].loss) / (candidates[b].bytes - candidates[a].bytes)
  const hull: number[] = []
  for (const i of undominated) {
    while (hull.length > 1 && slope(hull.at(-1)!, i) >= slope(hull.at(-2)!, hull.at(-1)!)) hull.pop()
    hull.push(i)
  }
  return hull
}

function hullSteps(candidates: readonly Candidate[], undominated: readonly number[], item: number): Step[] {
  const hull = hullIndices(candidates, undominated)
  return hull.slice(1).map((to, i) => ({
    item,
    bytes: candidates[to].bytes - candidates[hull[i]].bytes,
    gain: candidates[hull[i]].loss - candidates[to].loss,
  }))
}

const spread = (candidates: readonly Candidate[], indices: readonly number[]): number =>
  candidates[indices.at(-1)!].bytes - candidates[indices[0]].bytes

/** A feasible start: hull steps by efficiency as long as they fit, then any single upgrade that still does. */
function greedy(
  matrices: readonly (readonly Candidate[])[],
  undominated: readonly number[][],
  steps: readonly Step[],
  budget: number,
): Solution {
  const hulls = matrices.map((candidates, i) => hullIndices(candidates, undominated[i]))
  const level = matrices.map(() => 0)
  const blocked = new Set<number>()
  let bytes = total(
    matrices,
    undominated.map(u => u[0]),
  ).bytes
  for (const step of steps) {
    if (blocked.has(step.item)) continue
    if (bytes + step.bytes > budget) blocked.add(step.item)
    else {
      bytes += step.bytes
      level[step.item]++
    }
  }
  const choice = hulls.map((hull, i) => hull[level[i]])
  for (let i = 0; i < choice.length; i++) {
    for (const candidate of undominated[i]) {
      const growth = matrices[i][candidate].bytes - matrices[i][choice[i]].bytes
      const better = matrices[i][candidate].loss < matrices[i][choice[i]].loss
      if (better && bytes + growth <= budget) {
        bytes += growth
        choice[i] = candidate
      }
    }
  }
  return total(matrices, choice)
}

/** Least loss the remaining matrices can reach with `room` bytes when steps may be taken in part. */
function relaxation(minBytes: number, maxDamage: number, steps: readonly Step[]): (room: number) => number {
  const bytes = new Float64Array(steps.length + 1)
  const gain = new Float64Array(steps.length + 1)
  steps.forEach((step, i) => {
    bytes[i + 1] = bytes[i] + step.bytes
    gain[i + 1] = gain[i] + step.gain
  })
  return room => {
    const spare = room - minBytes
    if (spare < 0) return Infinity
    let low = 0
    let high = steps.length
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (bytes[middle] <= spare) low = middle
      else high = middle - 1
    }
    const part = low < steps.length ? ((spare - bytes[low]) / steps[low].bytes) * steps[low].gain : 0
    return maxDamage - gain[low] - part
  }
}

function withoutDominated(states: State[]): State[] {
  states.sort((a, b) => a.bytes - b.bytes || a.loss - b.loss)
  const kept: State[] = []
  for (const state of states) {
    if (kept.length === 0 || state.loss < kept.at(-1)!.loss) kept.push(state)
  }
  return kept
}

function traceBack(last: State, order: readonly number[]): { choice: number[] } {
  const choice = new Array<number>(order.length)
  let state: State | undefined = last
  for (let at = order.length - 1; at >= 0 && state; at--) {
    choice[order[at]] = state.candidate
    state = state.before
  }
  return { choice }
}
