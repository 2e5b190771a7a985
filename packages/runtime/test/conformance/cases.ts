import type { Mixer, Projection } from '@reallm/tensor-io/models'
import type { Op, Slot } from '../../src/backend/op.ts'
import type { Weights } from './programs.ts'

/** A program under test: what is embedded, the ops on it, and whose values are compared. */
export interface Case {
  readonly input: Slot
  readonly output: Slot
  readonly mixers?: readonly Mixer[]
  ops(weights: Weights): Promise<readonly Op[]>
}

/** What specs name and ops do not look at. */
export const module = { name: 'unused', shape: [4, 4] as const, bias: false }
export const projection: Projection = { module, from: 0, to: 4 }
export const eps = 1e-5

/** Products of a slot, one for each of some others. */
export async function project(weights: Weights, from: Slot, to: readonly Slot[]): Promise<Op> {
  const members = await inOrder(to, async slot => ({
    weight: await weights.matrix(slot.width, from.width),
    bias: undefined,
    parts: [{ row: 0, to: slot }],
  }))
  return { kind: 'project', from, norm: undefined, members }
}

/** Weights are drawn in one order on all backends. */
export async function inOrder<T, U>(values: readonly T[], make: (value: T) => Promise<U>): Promise<U[]> {
  const made: U[] = []
  for (const value of values) made.push(await make(value))
  return made
}
