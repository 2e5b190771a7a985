import { ReallmError } from '@reallm/tensor-io'
import type { MatrixModule } from '../open/model-parts.ts'
import type { FrontierPoint } from '../output/report.ts'
import type { Configuration } from '../recipes/configuration.ts'
import type { Sensitivity } from '../sensitivity/measure-sensitivity.ts'
import type { Budget } from './budget.ts'
import type { ConfigurationTable } from './configuration-table.ts'
import { allocate, type Candidate, frontier, type Solution } from './knapsack.ts'

/** A matrix with the configuration it got. */
export interface AllocatedMatrix {
  readonly module: MatrixModule
  readonly configuration: Configuration
  /** Its share of what it shares included. */
  readonly bytes: number
  /** Present where it shares a decoder. */
  readonly sharing?: {
    /** How many matrices share it, this one included. */
    readonly users: number
    readonly includes: (part: string) => boolean
  }
}

/** A budget split over a model's matrices. */
export interface Allocation {
  readonly matrices: readonly AllocatedMatrix[]
  /** Upper bound of the sum of the weight files; the written files are at most some bytes a tensor smaller. */
  readonly bytes: number
  readonly bitsPerWeight: number
  /** Predicted loss of the whole model, in the unit of the sensitivities. */
  readonly predicted: number
}

/**
 * Splits a budget over the matrices of a table: the least predicted loss within it. A decoder that matrices share is
 * counted once: a first split charges everyone a part of it (all of it where the parts do not add up), later ones are
 * among the configurations that share what was used, for which it is paid beforehand, until all that is paid for is used.
 *
 * @throws `bad-option` with the least possible size when the budget is below it
 */
export function allocateBits(
  table: ConfigurationTable,
  sensitivity: Sensitivity,
  budget: Budget,
): Allocation {
  const { parameters, counted } = table.parts
  const uncounted = counted < parameters ? table.fixedBytes : 0
  const bytes = 'bits' in budget ? uncounted + Math.floor((budget.bits * counted) / 8) : budget.bytes
  const within = (candidates: readonly Candidate[][], fixed: number): Solution => {
    const least = fixed + leastBytes(candidates)
    if (least <= bytes) return allocate(candidates, bytes - fixed)
    const wanted = 'bits' in budget ? `${budget.bits} bits per weight` : `${bytes} bytes`
    throw new ReallmError(
      'bad-option',
      `${wanted} cannot be reached: this recipe needs at least ${least} bytes`,
      {
        hint: `ask for ${ceilTo(bitsPer(least - uncounted, counted), 2)} bits per weight or more${uncounted ? '' : ' (embeddings, norms and file headers count)'}, or choose another recipe`,
      },
    )
  }
  const able = new Map<string, number>()
  for (const of of table.configurations) {
    for (const key of new Set(of.flatMap(c => c.sharing?.key ?? []))) able.set(key, (able.get(key) ?? 0) + 1)
  }
  const whole = (key: string) => table.sharedBytes.get(key)!
  const grouped = (charge: (key: string) => number) => candidatesOf(table, sensitivity, charge)
  let found = within(
    grouped(key => whole(key) / able.get(key)!),
    table.fixedBytes,
  )
  if (table.fixedBytes + bytesOf(table, found) > bytes) found = within(grouped(whole), table.fixedBytes)
  let open = usersOf(table, found)
  for (let paid = -1; paid !== open.size; ) {
    const used = open
    paid = used.size
    found = within(
      grouped(key => (used.has(key) ? 0 : Infinity)),
      table.fixedBytes + bytesShared(table, used),
    )
    open = usersOf(table, found)
  }
  return allocationOf(table, found)
}

/** Sizes that can be had and their predicted loss, about `points` of them. */
export function frontierOf(
  table: ConfigurationTable,
  sensitivity: Sensitivity,
  points = 64,
): FrontierPoint[] {
  const all = frontier(candidatesOf(table, sensitivity, () => 0))
  const every = Math.max(1, Math.ceil(all.length / points))
  return all
    .filter((_, i) => i % every === 0 || i === all.length - 1)
    .map(found => {
      const bytes = table.fixedBytes + bytesOf(table, found)
      return { bytes, bitsPerWeight: bitsPer(bytes, table.parts.parameters), predicted: found.loss }
    })
}

/**
 * One list of candidates for each group: sums over its matrices.
 *
 * @param charge bytes that a candidate takes for what it shares; infinitely many leave it out
 */
const candidatesOf = (
  { parts, configurations, groups }: ConfigurationTable,
  sensitivity: Sensitivity,
  charge: (key: string) => number,
): Candidate[][] =>
  groups.map(group =>
    configurations[group[0]].map((_, c) => {
      let bytes = 0
      let loss = 0
      for (const i of group) {
        const { configuration, bytes: own, sharing } = configurations[i][c]
        bytes += own + (sharing ? charge(sharing.key) : 0)
        loss += sensitivity[parts.matrices[i].name][configuration.id]
      }
      return { bytes, loss: bytes === Infinity ? Infinity : loss }
    }),
  )

/** The configuration of each matrix. */
function chosenBy({ groups, configurations }: ConfigurationTable, found: Solution) {
  const chosen: (typeof configurations)[number][number][] = []
  for (const [g, group] of groups.entries()) {
    for (const i of group) chosen[i] = configurations[i][found.choice[g]]
  }
  return chosen
}

/** How many matrices of a solution use each shared decoder. */
function usersOf(table: ConfigurationTable, found: Solution): Map<string, number> {
  const users = new Map<string, number>()
  for (const { sharing } of chosenBy(table, found)) {
    if (sharing) users.set(sharing.key, (users.get(sharing.key) ?? 0) + 1)
  }
  return users
}

const bytesShared = ({ sharedBytes }: ConfigurationTable, users: ReadonlyMap<string, number>): number =>
  [...users.keys()].reduce((sum, key) => sum + sharedBytes.get(key)!, 0)

/** Bytes of a solution's matrices, shared decoders counted once. */
const bytesOf = (table: ConfigurationTable, found: Solution): number =>
  chosenBy(table, found).reduce((sum, { bytes }) => sum + bytes, 0) +
  bytesShared(table, usersOf(table, found))

function allocationOf(table: ConfigurationTable, found: Solution): Allocation {
  const { parts, sharedBytes, fixedBytes } = table
  const users = usersOf(table, found)
  const bytes = fixedBytes + bytesOf(table, found)
  const matrices = chosenBy(table, found).map(({ configuration, bytes, sharing }, i): AllocatedMatrix => {
    const module = parts.matrices[i]
    if (!sharing) return { module, configuration, bytes }
    const count = users.get(sharing.key)!
    return {
      module,
      configuration,
      bytes: bytes + sharedBytes.get(sharing.key)! / count,
      sharing: { users: count, includes: sharing.includes },
    }
  })
  return { matrices, bytes, bitsPerWeight: bitsPer(bytes, parts.parameters), predicted: found.loss }
}

const leastBytes = (candidates: readonly (readonly Candidate[])[]): number =>
  candidates.reduce((sum, of) => sum + of.reduce((least, c) => Math.min(least, c.bytes), Infinity), 0)

const bitsPer = (bytes: number, parameters: number): number => (8 * bytes) / parameters
const ceilTo = (value: number, digits: number): number => Math.ceil(value * 10 ** digits) / 10 ** digits
