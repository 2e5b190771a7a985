import { squaredNorm } from '@reallm/kernels'
import { bitsOf, type Matrix, seedFor, sizeOf } from '@reallm/tensor-io'
import { readRows, rowsOf } from '@reallm/transformer'
import { bandWeights } from '../calibrate/band-weights.ts'
import type { MatrixStatistics } from '../calibrate/matrix-statistics.ts'
import type { Encoder } from '../encoder/encode-job.ts'
import { adjacentRows, spreadRows } from '../encoder/row-sample.ts'
import type { SharedDecoders } from '../encoder/shared-decoders.ts'
import type { OpenedModel } from '../open/open-model.ts'
import { readMatrix } from '../open/read-matrix.ts'
import type { Configuration } from '../recipes/configuration.ts'
import { configurationsFor, type Effort, needsHessians } from '../recipes/recipe.ts'
import type { Settings } from '../settings.ts'

export interface ConfigurationErrorOptions {
  readonly model: OpenedModel
  readonly encoder: Encoder
  readonly decoders: SharedDecoders
  readonly settings: Settings
}

/** Rows of a matrix that configurations are measured on: rows are alike, and independent except for their scale. */
const sampleRows: Record<Effort, number> = { fast: 32, normal: 32, best: 128 }
/** Neighbouring rows, for networks: they see neighbours in both directions. */
const networkRows: Record<Effort, number> = { fast: 64, normal: 64, best: 128 }
/** Rows of an embedding or head: they differ in how often they are used. */
const vocabularyRows: Record<Effort, number> = { fast: 2048, normal: 2048, best: 4096 }
/** A configuration that trains goes on to its next trial when it loses at most so many times what another one does. */
const reach = 1.25

/** Errors `tr(ΔW H ΔWᵀ)` of some configurations, in order. */
type Measure = (configurations: readonly Configuration[]) => Promise<number[]>

/**
 * Errors `tr(ΔW H ΔWᵀ)` of all configurations of a matrix by id, H being `hessians.measuring`: three of each family are
 * measured, on a sample of rows unless they need all, and the others lie between them on a logarithmic scale. Families that
 * train are measured by their trials, by successive halving: only those that are not beaten so far, at most half, go on to
 * the next, longer one. With `rowUse` the error is the mean over rows that are used so often (softmax's Fisher
 * information is at most a token's probability, and does not see what all logits gain or lose alike), else the whole
 * matrix's.
 */
export async function configurationErrors(
  options: ConfigurationErrorOptions,
  statistics: MatrixStatistics,
): Promise<ReadonlyMap<string, number>> {
  const { settings } = options
  const { module } = statistics
  const configurations = configurationsFor(settings.recipe, module, settings.effort)
  const sizes = new Map(configurations.map(c => [c.id, bitsOf(c.cost(module.shape))]))
  const size = ({ id }: Configuration) => sizes.get(id)!
  const errors = new Map<string, number>()
  const on = measures(options, statistics)

  /** Measures families at some places between smallest and largest, all of them as one job. */
  const measureFamilies = async (
    families: readonly (readonly Configuration[])[],
    places: readonly number[],
    measured: (of: Configuration) => Configuration,
    measure: Measure,
  ) => {
    const chosen = families.map(family => {
      const bySize = [...family].sort((a, b) => size(a) - size(b))
      return [...new Set(places.map(place => Math.round((bySize.length - 1) * place)))].map(i => bySize[i])
    })
    const found = await measure(chosen.flat().map(measured))
    let next = 0
    for (const [f, family] of families.entries()) {
      const points = chosen[f].map(c => ({ bits: size(c), log: Math.log(Math.max(found[next++], 1e-30)) }))
      for (const c of family) errors.set(c.id, Math.exp(interpolated(points, size(c))))
    }
  }

  const families = familiesOf(configurations.filter(({ byUse }) => !byUse))
  const trialsOf = ([first]: readonly Configuration[]) => first.trials?.length ?? 0
  const untrained = families.filter(family => trialsOf(family) === 0)
  // Below some rate errors grow faster than they fall above it: the smallest one is always measured.
  const howOf = ([{ needsAllRows, shared }]: readonly Configuration[]) =>
    needsAllRows ? 'allRows' : shared ? 'adjacentRows' : 'sampledRows'
  await Promise.all(
    (['allRows', 'adjacentRows', 'sampledRows'] as const).map(how => {
      const alike = untrained.filter(family => howOf(family) === how)
      return alike.length > 0 && measureFamilies(alike, [0, 1 / 3, 2 / 3], c => c, on[how])
    }),
  )
  /** How many times less a family loses, at its best rate, than the best of the others of at most that size. */
  const lead = (family: readonly Configuration[]): number =>
    family.reduce((most, c) => {
      const others = untrained.flat().filter(other => size(other) <= size(c))
      return Math.max(most, Math.min(...others.map(({ id }) => errors.get(id)!)) / errors.get(c.id)!)
    }, 0)
  let contenders = families.filter(family => trialsOf(family) > 0)
  for (let trial = 0; contenders.length > 0; trial++) {
    for (const family of contenders)
      await measureFamilies([family], [0, 2 / 3], c => c.trials![trial], on.adjacentRows)
    contenders = contenders
      .filter(family => trial + 1 < trialsOf(family) && lead(family) * reach >= 1)
      .sort((a, b) => lead(b) - lead(a))
      .slice(0, Math.ceil(contenders.length / 2))
  }
  await addErrorsByUse(options, statistics, configurations, errors)
  return errors
}

/** Errors of rates by use: in a band, what all rows lose at its rate, for the band's share of what errors cost. */
async function addErrorsByUse(
  { model }: ConfigurationErrorOptions,
  { module, rowUse }: MatrixStatistics,
  configurations: readonly Configuration[],
  errors: Map<string, number>,
): Promise<void> {
  let weights: readonly number[] | undefined
  for (const { id, byUse } of configurations) {
    if (!byUse) continue
    const points = configurations
      .filter(({ family }) => family === byUse.evenFamily)
      .map(even => ({
        bits: bitsOf(even.cost(module.shape)) / sizeOf(module.shape),
        log: Math.log(errors.get(even.id)!),
      }))
    weights ??= shares(await bandWeights(model, module, rowUse, byUse.rows))
    const { bits } = byUse.split(weights)
    errors.set(
      id,
      weights.reduce((sum, share, b) => sum + share * Math.exp(interpolated(points, bits[b])), 0),
    )
  }
}

/**
 * The three ways to measure: on rows spread over the matrix, on neighbouring rows, on all rows. Only the last two read the whole
 * matrix.
 */
function measures(
  { model, encoder, decoders, settings: { recipe, effort, seed } }: ConfigurationErrorOptions,
  { module, hessians, rowUse }: MatrixStatistics,
): Readonly<Record<'sampledRows' | 'adjacentRows' | 'allRows', Measure>> {
  const norm = (w: Matrix) => squaredNorm(w, { hessian: hessians.measuring })

  /** What each configuration loses of `w`, rounded under the other Hessian. */
  const losses = async (configurations: readonly Configuration[], w: Matrix): Promise<Matrix[]> => {
    const tries = configurations.map(async c => ({ id: c.id, shared: await decoders.of(module, c) }))
    const results = await encoder.encode({
      recipe: recipe.name,
      module: { ...module, shape: [w.rows, w.cols] },
      effort,
      configurations: await Promise.all(tries),
      w,
      seed: seedFor(seed, module.group ?? module.name),
      hessian: needsHessians(recipe) ? hessians.rounding : undefined,
    })
    return results.map(({ decoded }) => ({ ...w, data: w.data.map((v, i) => v - decoded.data[i]) }))
  }

  const [rows] = module.shape
  const chosen = spreadRows(rows, rowUse ? vocabularyRows[effort] : sampleRows[effort])
  const rowWeights = rowUse ? shares(chosen.map(row => rowUse[row])) : chosen.map(() => rows / chosen.length)
  const name = `${module.name}.weight`
  let known: Promise<Matrix> | undefined
  const wholeOf = () => {
    known ??= readMatrix(model.weights, name)
    return known
  }
  let shareOfNeighbours: number | undefined
  return {
    async sampledRows(configurations) {
      const sample = await readRows(rowsOf(model.weights, name), chosen)
      return (await losses(configurations, sample)).map(lost => {
        if (rowUse) subtractMeanRow(lost, rowWeights)
        for (let i = 0; i < lost.data.length; i++)
          lost.data[i] *= Math.sqrt(rowWeights[Math.floor(i / lost.cols)])
        return norm(lost)
      })
    },
    async adjacentRows(configurations) {
      const whole = await wholeOf()
      const neighbours = adjacentRows(whole, networkRows[effort])
      shareOfNeighbours ??= Math.max(norm(neighbours) / Math.max(norm(whole), 1e-30), 1e-30)
      return (await losses(configurations, neighbours)).map(lost => norm(lost) / shareOfNeighbours!)
    },
    async allRows(configurations) {
      return (await losses(configurations, await wholeOf())).map(norm)
    },
  }
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

/** Configurations that differ in rate only. */
function familiesOf(configurations: readonly Configuration[]): Configuration[][] {
  const families = new Map<string, Configuration[]>()
  for (const c of configurations) {
    const family = c.family ?? c.id
    families.set(family, [...(families.get(family) ?? []), c])
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
