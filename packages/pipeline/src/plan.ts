import { bitsOf, ReallmError, type StorageCost } from '@reallm/tensor-io'
import { type Allocation, allocate, type Candidate, frontier } from './allocate.ts'
import type { ModelParts } from './modules.ts'
import { type Choice, choicesFor, type Effort, type MatrixModule, type Recipe } from './recipe.ts'
import type { FrontierPoint } from './report.ts'

/** What is asked for: bits for each weight, or bytes for the file. */
export type Budget = { readonly bits: number } | { readonly bytes: number }

/** A matrix with the choice it got. */
export interface PlannedMatrix {
  readonly module: MatrixModule
  /** Index into the recipe's choices for this matrix. */
  readonly choice: number
  readonly label: string
  readonly bytes: number
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

/** A model's candidates with their sizes and damages: what every budget is planned from. */
export interface PlanTable {
  readonly parts: ModelParts
  readonly choices: readonly (readonly Choice[])[]
  readonly candidates: readonly (readonly Candidate[])[]
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
  const candidates = parts.matrices.map((module, i) => {
    const damages = damageOf(module, choices[i])
    return choices[i].map((choice, c) => ({
      bytes: storedBytes(module.name, choice.cost(module.shape)),
      damage: damages[c],
    }))
  })
  const groups = recipe.uniform ? uniformGroups(parts, choices) : parts.matrices.map((_, i) => [i])
  const fixedBytes = fileOverhead + storedBytes('', plainCost)
  return { parts, choices, candidates, groups, fixedBytes, inputSensitivity: 0 }
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

/** One list of candidates for each group: sums over its matrices. */
const grouped = ({ candidates, groups }: PlanTable): Candidate[][] =>
  groups.map(group =>
    candidates[group[0]].map((_, c) => ({
      bytes: group.reduce((sum, i) => sum + candidates[i][c].bytes, 0),
      damage: group.reduce((sum, i) => sum + candidates[i][c].damage, 0),
    })),
  )

/**
 * Splits a budget over the matrices of a table: the least damage within it.
 *
 * @throws `bad-option` with the least possible size when the budget is below it
 */
export function planBudget(table: PlanTable, budget: Budget): Plan {
  const { parameters, counted } = table.parts
  const uncounted = counted < parameters ? table.fixedBytes : 0
  const bytes = 'bits' in budget ? uncounted + Math.floor((budget.bits * counted) / 8) : budget.bytes
  const candidates = grouped(table)
  const least = table.fixedBytes + leastBytes(candidates)
  if (least > bytes) {
    const wanted = 'bits' in budget ? `${budget.bits} bits per weight` : `${bytes} bytes`
    throw new ReallmError(
      'bad-option',
      `${wanted} cannot be reached: this recipe needs at least ${least} bytes`,
      {
        hint: `ask for ${ceilTo(bitsPer(least - uncounted, counted), 2)} bits per weight or more${uncounted ? '' : ' (embeddings, norms and file headers count)'}, or choose another recipe`,
      },
    )
  }
  return planOf(table, allocate(candidates, bytes - table.fixedBytes))
}

/** Sizes that can be had and their predicted damage, about `points` of them. */
export function frontierOf(table: PlanTable, points = 64): FrontierPoint[] {
  const all = frontier(grouped(table))
  const every = Math.max(1, Math.ceil(all.length / points))
  return all
    .filter((_, i) => i % every === 0 || i === all.length - 1)
    .map(({ bytes, damage }) => ({
      bytes: bytes + table.fixedBytes,
      bitsPerWeight: bitsPer(bytes + table.fixedBytes, table.parts.parameters),
      damage,
    }))
}

function planOf({ parts, choices, candidates, groups, fixedBytes }: PlanTable, found: Allocation): Plan {
  const bytes = found.bytes + fixedBytes
  const chosen: number[] = []
  for (const [g, group] of groups.entries()) for (const i of group) chosen[i] = found.choice[g]
  return {
    matrices: parts.matrices.map((module, i) => ({
      module,
      choice: chosen[i],
      label: choices[i][chosen[i]].label,
      bytes: candidates[i][chosen[i]].bytes,
    })),
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
