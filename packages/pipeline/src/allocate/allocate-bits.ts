import { bitsOf, ReallmError, SMALLEST_SHARED, type StorageCost } from '@reallm/tensor-io'
import { sharingKey } from '../encoder/shared-decoders.ts'
import type { ModelParts } from '../open/model-parts.ts'
import type { FrontierPoint } from '../output/report.ts'
import { type Choice, choicesFor, type Effort, type MatrixModule, type Recipe } from '../recipes/recipe.ts'
import { type Allocation, allocate, type Candidate, frontier } from './knapsack.ts'

/** What is asked for: bits for each weight, or bytes for the file. */
export type Budget = { readonly bits: number } | { readonly bytes: number }

/** A matrix with the choice it got. */
export interface PlannedMatrix {
  readonly module: MatrixModule
  /** Index into the recipe's choices for this matrix. */
  readonly choice: number
  readonly label: string
  /** Its share of what it shares included. */
  readonly bytes: number
  /** Present where it shares tensors with others. */
  readonly sharing?: {
    /** How many matrices share them, this one included. */
    readonly users: number
    readonly includes: (part: string) => boolean
  }
}

export interface Plan {
  readonly matrices: readonly PlannedMatrix[]
  /** Upper bound of the sum of the weight files; the written files are at most some bytes a tensor smaller. */
  readonly bytes: number
  readonly bitsPerWeight: number
  /** Predicted damage, in the unit of the damages given. */
  readonly damage: number
}

/** Predicted damage of each choice for a matrix. */
export type DamageOf = (module: MatrixModule, choices: readonly Choice[]) => readonly number[]

/** A candidate of a matrix; `bytes` without what it shares. */
interface PlanCandidate extends Candidate {
  /** Under which its shared tensors are found in `PlanTable.sharedBytes`. */
  readonly sharing?: string
}

/** A model's candidates with their sizes and damages: what every budget is planned from. */
export interface PlanTable {
  readonly parts: ModelParts
  readonly choices: readonly (readonly Choice[])[]
  readonly candidates: readonly (readonly PlanCandidate[])[]
  /** Bytes of tensors that an artifact holds once, whoever of their group uses them. */
  readonly sharedBytes: ReadonlyMap<string, number>
  /** Indices of matrices that are planned as one: they get choices of the same index. */
  readonly groups: readonly (readonly number[])[]
  /** Bytes that are stored whatever the choices: norms, biases, the head of the file. */
  readonly fixedBytes: number
  /** See `Survey`; 0 where nothing was measured. */
  readonly inputSensitivity: number
}

/** Bytes before the tensors of a safetensors file that are there anyway: length, braces, metadata, padding. */
const fileOverhead = 128

/**
 * Costs every choice for every matrix exactly, file header included.
 *
 * @param plainCost dtype and shape of the tensors stored as they are
 */
export function planTable(
  parts: ModelParts,
  recipe: Recipe,
  effort: Effort,
  plainCost: StorageCost,
  damageOf: DamageOf,
): PlanTable {
  const choices = parts.matrices.map(module => choicesFor(recipe, module, effort))
  const sharedBytes = new Map<string, number>()
  const candidates = parts.matrices.map((module, i) => {
    const damages = damageOf(module, choices[i])
    return choices[i].map((choice, c): PlanCandidate => {
      const damage = damages[c]
      const cost = choice.cost(module.shape)
      if (!choice.shared) return { bytes: storedBytes(module.name, cost), damage }
      const shared = (part: string) => isShared(choice, part, cost)
      const sharing = sharingKey(module, choice.label)
      const bytes = storedBytes(module.name, costOf(cost, shared))
      sharedBytes.set(sharing, Math.max(sharedBytes.get(sharing) ?? 0, bytes))
      return {
        bytes: storedBytes(
          module.name,
          costOf(cost, part => !shared(part)),
        ),
        damage,
        sharing,
      }
    })
  })
  const groups = recipe.uniform ? uniformGroups(parts, choices) : parts.matrices.map((_, i) => [i])
  const fixedBytes = fileOverhead + storedBytes('', plainCost)
  return { parts, choices, candidates, sharedBytes, groups, fixedBytes, inputSensitivity: 0 }
}

/** The blocks' matrices that have equally many choices together, every other one by itself. */
function uniformGroups({ matrices }: ModelParts, choices: PlanTable['choices']): number[][] {
  const groups = new Map<string, number[]>()
  for (const [i, { name, block }] of matrices.entries()) {
    const key = block === undefined ? name : `${choices[i].length} choices`
    groups.set(key, [...(groups.get(key) ?? []), i])
  }
  return [...groups.values()]
}

/** Small tensors are stored by each matrix even where they are equal. */
const isShared = ({ shared }: Choice, part: string, cost: StorageCost): boolean =>
  shared?.includes(part) === true && bitsOf({ part: cost[part] }) / 8 >= SMALLEST_SHARED

const costOf = (cost: StorageCost, wanted: (part: string) => boolean): StorageCost =>
  Object.fromEntries(Object.entries(cost).filter(([part]) => wanted(part)))

/**
 * One list of candidates for each group: sums over its matrices.
 *
 * @param charge bytes that a candidate takes for what it shares; infinitely many leave it out
 */
const grouped = ({ candidates, groups }: PlanTable, charge: (sharing: string) => number): Candidate[][] =>
  groups.map(group =>
    candidates[group[0]].map((_, c) => {
      const members = group.map(i => candidates[i][c])
      const bytes = members.reduce((sum, m) => sum + m.bytes + (m.sharing ? charge(m.sharing) : 0), 0)
      const damage = members.reduce((sum, m) => sum + m.damage, 0)
      return { bytes, damage: bytes === Infinity ? Infinity : damage }
    }),
  )

/** What the matrices of a solution share, by key: how many use it. */
function usersOf(table: PlanTable, found: Allocation): Map<string, number> {
  const users = new Map<string, number>()
  for (const [i, c] of chosenBy(table, found).entries()) {
    const { sharing } = table.candidates[i][c]
    if (sharing !== undefined) users.set(sharing, (users.get(sharing) ?? 0) + 1)
  }
  return users
}

/** Index of each matrix's choice. */
function chosenBy({ groups }: PlanTable, found: Allocation): number[] {
  const chosen: number[] = []
  for (const [g, group] of groups.entries()) for (const i of group) chosen[i] = found.choice[g]
  return chosen
}

const bytesShared = ({ sharedBytes }: PlanTable, users: ReadonlyMap<string, number>): number =>
  [...users.keys()].reduce((sum, key) => sum + sharedBytes.get(key)!, 0)

/** Bytes of a solution's matrices, what they share counted once. */
const bytesOf = (table: PlanTable, found: Allocation): number =>
  chosenBy(table, found).reduce((sum, c, i) => sum + table.candidates[i][c].bytes, 0) +
  bytesShared(table, usersOf(table, found))

/**
 * Splits a budget over the matrices of a table: the least damage within it. What matrices share is counted once: a first
 * split charges everyone a part of it (all of it where the parts do not add up), later ones are among the choices that
 * share what was used, for which it is paid beforehand, until all that is paid for is used.
 *
 * @throws `bad-option` with the least possible size when the budget is below it
 */
export function planBudget(table: PlanTable, budget: Budget): Plan {
  const { parameters, counted } = table.parts
  const uncounted = counted < parameters ? table.fixedBytes : 0
  const bytes = 'bits' in budget ? uncounted + Math.floor((budget.bits * counted) / 8) : budget.bytes
  const limit = (candidates: readonly Candidate[][], fixed: number): Allocation => {
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
  for (const of of table.candidates)
    for (const key of new Set(of.flatMap(c => c.sharing ?? []))) able.set(key, (able.get(key) ?? 0) + 1)
  const whole = (key: string) => table.sharedBytes.get(key)!
  const takes = (of: Allocation) => table.fixedBytes + bytesOf(table, of)
  let found = limit(
    grouped(table, key => whole(key) / able.get(key)!),
    table.fixedBytes,
  )
  if (takes(found) > bytes) found = limit(grouped(table, whole), table.fixedBytes)
  let open = usersOf(table, found)
  for (let paid = -1; paid !== open.size; ) {
    const used = open
    paid = used.size
    found = limit(
      grouped(table, key => (used.has(key) ? 0 : Infinity)),
      table.fixedBytes + bytesShared(table, used),
    )
    open = usersOf(table, found)
  }
  return planOf(table, found)
}

/** Sizes that can be had and their predicted damage, about `points` of them. */
export function frontierOf(table: PlanTable, points = 64): FrontierPoint[] {
  const all = frontier(grouped(table, () => 0))
  const every = Math.max(1, Math.ceil(all.length / points))
  return all
    .filter((_, i) => i % every === 0 || i === all.length - 1)
    .map(found => {
      const bytes = table.fixedBytes + bytesOf(table, found)
      return { bytes, bitsPerWeight: bitsPer(bytes, table.parts.parameters), damage: found.damage }
    })
}

function planOf(table: PlanTable, found: Allocation): Plan {
  const { parts, choices, candidates, sharedBytes, fixedBytes } = table
  const chosen = chosenBy(table, found)
  const users = usersOf(table, found)
  const bytes = fixedBytes + bytesOf(table, found)
  return {
    matrices: parts.matrices.map((module, i) => {
      const choice = choices[i][chosen[i]]
      const candidate = candidates[i][chosen[i]]
      const planned = { module, choice: chosen[i], label: choice.label, bytes: candidate.bytes }
      if (candidate.sharing === undefined) return planned
      const count = users.get(candidate.sharing)!
      const cost = choice.cost(module.shape)
      return {
        ...planned,
        bytes: candidate.bytes + sharedBytes.get(candidate.sharing)! / count,
        sharing: { users: count, includes: part => isShared(choice, part, cost) },
      }
    }),
    bytes,
    bitsPerWeight: bitsPer(bytes, parts.parameters),
    damage: found.damage,
  }
}

/** Bytes of tensors in a safetensors file, with their header entries at their longest. */
function storedBytes(module: string, cost: StorageCost): number {
  const entries = Object.entries(cost).map(([part, { dtype, shape }]) => {
    const name = module ? `${module}.${part}` : part
    return `"${name}":{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[0000000000,0000000000]},`.length
  })
  return bitsOf(cost) / 8 + entries.reduce((sum, n) => sum + n, 0)
}

const leastBytes = (candidates: readonly (readonly Candidate[])[]): number =>
  candidates.reduce((sum, of) => sum + of.reduce((least, c) => Math.min(least, c.bytes), Infinity), 0)

const bitsPer = (bytes: number, parameters: number): number => (8 * bytes) / parameters
const ceilTo = (value: number, digits: number): number => Math.ceil(value * 10 ** digits) / 10 ** digits

/**
 * What a lost bit does to the whole model, by the kind of matrix, relative to the mean: measured once on
 * SmolLM2-135M by restoring one kind at a time from 3 bits.
 */
const weightOfKind: Record<MatrixModule['kind'], number> = {
  q_proj: 0.4,
  k_proj: 0.4,
  v_proj: 2.7,
  o_proj: 2.7,
  gate_proj: 0.8,
  up_proj: 0.8,
  down_proj: 1.2,
  embed_tokens: 0.5,
  lm_head: 1.1,
}

/** Damage predicted without looking at the weights: Gaussian distortion at the choice's rate, weighed by kind. */
export function predictedDamage(layers: number): DamageOf {
  return (module, choices) => {
    const { kind, shape, block, tied } = module
    const elements = shape[0] * shape[1]
    const place = block === undefined || (block > 1 && block < layers - 1) ? 1 : 2
    const weight = tied ? weightOfKind.lm_head : weightOfKind[kind]
    return choices.map(choice => elements * weight * place * 4 ** (-bitsOf(choice.cost(shape)) / elements))
  }
}
