import { squaredNorm } from '@reallm/kernels'
import { bitsOf, type Matrix, seedFor } from '@reallm/tensor-io'
import type { ModelWeights } from '@reallm/transformer'
import { readMatrix } from '../calibrate/hidden-states.ts'
import type { EncodePool } from '../encoder/encoder.ts'
import { adjacentRows, rowSample } from '../encoder/row-sample.ts'
import type { SharedFits } from '../encoder/shared-decoders.ts'
import { type Choice, choicesFor, type Effort, type MatrixModule, type Recipe } from '../recipes/recipe.ts'

export interface ChoiceErrorOptions {
  readonly model: ModelWeights
  readonly recipe: Recipe
  readonly effort: Effort
  readonly seed: number
  readonly pool: EncodePool
  readonly shared: SharedFits
}

/**
 * Second moments of a matrix's inputs, of different tokens: rounding makes errors small under the tokens that it knows,
 * and few carry most of the damage, so that only others can tell what they cost.
 */
export interface SplitMoments {
  /** What choices are encoded under. */
  readonly rounding: Matrix
  /** What their errors are measured under. */
  readonly damage: Matrix
}

/** Rows of a matrix that candidates are measured on: rows are alike, and independent but for their scale. */
const sampleRowsOf: Record<Effort, number> = { fast: 32, normal: 32, best: 128 }
/** Neighbouring rows that networks are fitted to. */
const adjacentRowsOf: Record<Effort, number> = { fast: 64, normal: 64, best: 128 }
/** Rows of an embedding or head: they differ in how often they are used. */
const sampleTokensOf: Record<Effort, number> = { fast: 2048, normal: 2048, best: 4096 }
/** A choice that is to be trained goes on to its next trial when it loses at most so many times what another one does. */
const reach = 1.25

/**
 * Errors `tr(ΔW H ΔWᵀ)` of all choices for a matrix, H being `moments.damage`: three of each family measured, on a sample of rows unless they are
 * joint, the others between them on a logarithmic scale. Families that are trained are measured by their trials, by
 * successive halving: every trial is longer, and only those that are not beaten so far, at most half of them, go on to the
 * next. Without `use` the errors are those of the whole matrix; with it, the mean over rows that are used so often
 * (softmax's Fisher information is at most a token's probability, and does not see what all logits gain or lose alike).
 */
export async function choiceErrors(
  { model, recipe, effort, seed, pool, shared }: ChoiceErrorOptions,
  module: MatrixModule,
  moments: SplitMoments,
  use?: Float32Array,
): Promise<number[]> {
  const whole = await readMatrix(model, `${module.name}.weight`)
  const choices = choicesFor(recipe, module, effort)
  const bits = choices.map(choice => bitsOf(choice.cost(module.shape)))
  const errors: number[] = []
  const sampleRows = sampleRowsOf[effort]
  const hessian = moments.damage

  const encode = async (indices: readonly number[], w: Matrix, trial?: number): Promise<Matrix[]> => {
    const tries = indices.map(async choice => {
      const fitted = await shared(module, choice, trial)
      return { choice, ...(trial !== undefined && { trial }), ...(fitted && { shared: fitted }) }
    })
    const results = await pool.encode({
      recipe: recipe.name,
      module: { ...module, shape: [w.rows, w.cols] },
      effort,
      tries: await Promise.all(tries),
      w,
      seed: seedFor(seed, module.name),
      ...(recipe.calibrated && { hessian: moments.rounding }),
    })
    return results.map(({ decoded }) => ({ ...w, data: w.data.map((v, i) => v - decoded.data[i]) }))
  }
  const spread = rowSample(whole, use ? sampleTokensOf[effort] : sampleRows)
  const weights = use
    ? shares(spread.rows.map(row => use[row]))
    : spread.rows.map(() => whole.rows / spread.rows.length)
  const measure = async (indices: readonly number[]): Promise<number[]> => {
    const losses = await encode(indices, spread.w)
    return losses.map(lost => {
      if (use) subtractMeanRow(lost, weights)
      for (let i = 0; i < lost.data.length; i++) lost.data[i] *= Math.sqrt(weights[Math.floor(i / lost.cols)])
      return squaredNorm(lost, { hessian })
    })
  }
  // What is shared or trained may be a network, which sees neighbours in both directions.
  const adjacent = adjacentRows(whole, adjacentRowsOf[effort])
  let share: number | undefined
  const measureAdjacent = async (indices: readonly number[], trial?: number): Promise<number[]> => {
    share ??= squaredNorm(adjacent, { hessian }) / Math.max(squaredNorm(whole, { hessian }), 1e-30)
    const losses = await encode(indices, adjacent, trial)
    return losses.map(lost => squaredNorm(lost, { hessian }) / Math.max(share!, 1e-30))
  }
  const measureWhole = async (indices: readonly number[]): Promise<number[]> =>
    (await encode(indices, whole)).map(lost => squaredNorm(lost, { hessian }))
  const measureFamily = async (
    family: readonly number[],
    shares: readonly number[],
    of: (indices: readonly number[]) => Promise<number[]>,
  ) => {
    const bySize = [...family].sort((a, b) => bits[a] - bits[b])
    const places = new Set(shares.map(share => Math.round((bySize.length - 1) * share)))
    const measured = [...places].map(at => bySize[at])
    const found = await of(measured)
    const points = measured.map((index, p) => ({
      bits: bits[index],
      log: Math.log(Math.max(found[p], 1e-30)),
    }))
    for (const index of family) errors[index] = Math.exp(interpolated(points, bits[index]))
  }

  const families = familiesOf(choices)
  const trialsOf = (family: readonly number[]) => choices[family[0]].trials?.length ?? 0
  const known = families.filter(family => trialsOf(family) === 0)
  // Below some rate errors grow faster than they fall above it: the smallest one is always measured.
  await Promise.all(
    known.map(family => {
      const { joint, shared } = choices[family[0]]
      const rows = joint ? measureWhole : shared ? measureAdjacent : measure
      return measureFamily(family, [0, 1 / 3, 2 / 3], rows)
    }),
  )
  /** How much less a family loses, at its best rate, than the best of the others of at most that size. */
  const lead = (family: readonly number[]): number =>
    family.reduce((most, i) => {
      const others = known.flat().filter(j => bits[j] <= bits[i])
      return Math.max(most, Math.min(...others.map(j => errors[j])) / errors[i])
    }, 0)
  let contenders = families.filter(family => trialsOf(family) > 0)
  for (let trial = 0; contenders.length > 0; trial++) {
    for (const family of contenders) {
      await measureFamily(family, [0, 2 / 3], indices => measureAdjacent(indices, trial))
    }
    contenders = contenders
      .filter(family => trial + 1 < trialsOf(family) && lead(family) * reach >= 1)
      .sort((a, b) => lead(b) - lead(a))
      .slice(0, Math.ceil(contenders.length / 2))
  }
  return errors
}

/** On straight lines through points of rising `bits`, of which the first and the last go on. */
function interpolated(
  points: readonly { readonly bits: number; readonly log: number }[],
  bits: number,
): number {
  if (points.length === 1) return points[0].log
  const above = points.findIndex((point, i) => i > 0 && point.bits >= bits)
  const [a, b] = points.slice((above < 0 ? points.length : above + 1) - 2)
  return a.log + ((bits - a.bits) / (b.bits - a.bits)) * (b.log - a.log)
}

/** Indices of choices that differ in rate only. */
function familiesOf(choices: readonly Choice[]): number[][] {
  const families = new Map<string, number[]>()
  for (const [i, { family, label }] of choices.entries()) {
    families.set(family ?? label, [...(families.get(family ?? label) ?? []), i])
  }
  return [...families.values()]
}

function shares(values: readonly number[]): number[] {
  const sum = values.reduce((total, v) => total + v, 0)
  return values.map(v => v / sum)
}

function subtractMeanRow({ rows, cols, data }: Matrix, weights: readonly number[]): void {
  for (let c = 0; c < cols; c++) {
    let mean = 0
    for (let r = 0; r < rows; r++) mean += weights[r] * data[r * cols + c]
    for (let r = 0; r < rows; r++) data[r * cols + c] -= mean
  }
}
