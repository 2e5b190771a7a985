import type { ModelFiles } from '@reallm/tensor-io'
import { cpuSeconds, createHash, engineName, join, mkdir, peakMemory, resolve } from '#platform'
import { frontierOf, type PlanTable, planBudget } from './allocate/allocate-bits.ts'
import { type Journal, type JournalOptions, openJournal, requireEmpty } from './checkpoint/journal.ts'
import { openLedger } from './checkpoint/ledger.ts'
import { matrixFiles } from './checkpoint/matrix-files.ts'
import { tunedBlocks } from './checkpoint/tuned-layer.ts'
import { checkArtifact } from './evaluate/evaluate.ts'
import type { CompressReport } from './output/report.ts'
import { writeArtifact } from './output/write-artifact.ts'
import { damageUnit } from './plan.ts'
import { encodeModel } from './quantise/quantise.ts'
import { builtInRegistry } from './recipes/registry.ts'
import type { Run } from './run.ts'
import { type Session, type SessionOptions, withSession } from './session.ts'
import { type BudgetOptions, budgetOf } from './settings.ts'

export interface CompressOptions extends SessionOptions, BudgetOptions {
  /** Directory to write the artifact to; must be empty or new. */
  readonly to: string
  /** Go on with an unfinished run to the same directory. */
  readonly resume?: boolean
  /** Replace what is in `to`. */
  readonly force?: boolean
  /** Memory to aim for, in bytes; activations beyond an eighth of it go to disk. Default 2 GB. */
  readonly maxMemory?: number
  /** Measure perplexity and KL divergence at the end; default true. */
  readonly evaluate?: boolean
}

/**
 * Compresses a model into an artifact directory: plan → per block { load → second moments behind the quantised
 * prefix → encode each matrix } → write → measure. Memory holds one block and the calibration activations. The work
 * directory `<to>.work` is a journal: a run that was stopped or killed goes on with `resume`, and ends in the same
 * bytes. The same seed and input give the same bytes whatever the number of threads.
 *
 * @throws `bad-option` when the size cannot be reached or `to` is not empty; `numeric` for weights that are not
 *   finite; `changed-option` when a resumed run's options differ; `aborted`
 * @example
 * const report = await compress('npm:@reallm/tiny', { to: 'out', bits: 3 })
 * console.table(report.matrices)
 */
export async function compress(
  model: string | ModelFiles,
  options: CompressOptions,
): Promise<CompressReport> {
  const started = { wall: performance.now(), cpu: cpuSeconds() }
  const budget = budgetOf(options)
  await requireEmpty(options.to, options.force)
  const run = (session: Session) => compressSession(session, options, started)
  return withSession(model, options, run, table => void planBudget(table, budget))
}

async function compressSession(
  session: Session,
  options: CompressOptions,
  started: { readonly wall: number; readonly cpu: number },
): Promise<CompressReport> {
  const { maxMemory = 2e9, onProgress, signal } = options
  const { model, recipe, effort, seed, windows, pool, shared, scan, parts, backend } = session
  const registry = builtInRegistry()
  const chosen = journalOptions(options, session)
  const journal = await openJournal(`${resolve(options.to)}.work`, chosen, options.resume)
  const folder = await outputsFolder(journal, session)
  const outputs = folder === undefined ? undefined : matrixFiles(folder)
  const table = await planTableOf(session, journal, folder)
  const plan = planBudget(table, budgetOf(options))
  const run: Run = {
    ...{ model, config: model.config, recipe, effort, seed, windows, plan, journal, pool, shared },
    ...(signal && { signal }),
    ...(onProgress && { onProgress }),
    ledger: await openLedger(journal, plan.matrices, registry, onProgress),
    inputSensitivity: table.inputSensitivity,
    tuned: tunedBlocks(journal),
    spill: spillTo(journal, session, maxMemory),
    outputHessian: async module => outputs?.read(module),
    headMoment: async () => (recipe.twoSided ? outputs?.read('head') : undefined),
    tokenWeights: async leader => (recipe.twoSided ? outputs?.read(`${leader}.tokens`) : undefined),
    fisher: async module =>
      outputs && {
        rows: (await outputs.read(`${module}.rows`)).data,
        cols: (await outputs.read(`${module}.cols`)).data,
      },
  }
  await encodeModel(run)
  await pool.close()
  const artifact = await writeArtifact(run, scan.plain, Math.min(2 ** 29, maxMemory / 4))
  const fits = 4 * parts.parameters <= maxMemory / 2
  const checks =
    options.evaluate === false
      ? {}
      : await checkArtifact(model, artifact.folder, registry, windows, { ...options, fits })
  const report: CompressReport = {
    version: 1,
    model: model.files.spec,
    recipe: recipe.name,
    seed,
    options: chosen,
    size: {
      bytes: artifact.bytes,
      originalBytes: model.files.bytes,
      parameters: parts.parameters,
      bitsPerWeight: (8 * artifact.bytes) / parts.parameters,
    },
    calibration: `${windows.fit.length} windows of ${windows.length} tokens from ${windows.source}`,
    ...checks,
    matrices: plan.matrices.map(({ module }) => run.ledger.matrices.get(module.name)!),
    damageUnit: damageUnit(session),
    predictedDamage: plan.damage,
    frontier: frontierOf(table),
    seconds: (performance.now() - started.wall) / 1000,
    cpuSeconds: cpuSeconds() - started.cpu,
    peakMemory: peakMemory(),
    machine: { node: engineName(), backend: backend.name, threads: pool.threads },
  }
  await artifact.publish(report, options.to)
  await journal.remove()
  return report
}

/**
 * Where the run keeps what the survey finds of gradients. Second moments at the outputs take time that fast effort has
 * not; the Fisher diagonal is all that its recipe has.
 */
async function outputsFolder({ folder }: Journal, { recipe, effort }: Session): Promise<string | undefined> {
  if (!recipe.fisher && !(recipe.twoSided && effort !== 'fast')) return undefined
  const outputs = join(folder, 'outputs')
  await mkdir(outputs, { recursive: true })
  return outputs
}

/** The table that the plan is made from; a resumed run plans from what it measured when it began. */
async function planTableOf(
  session: Session,
  journal: Journal,
  outputs: string | undefined,
): Promise<PlanTable> {
  const { damages, inputSensitivity } = await journal.remember('survey.json', async () => {
    const { candidates, inputSensitivity } = await session.measured(outputs)
    return { damages: candidates.map(of => of.map(c => c.damage)), inputSensitivity }
  })
  const table = session.predicted()
  return {
    ...table,
    inputSensitivity,
    candidates: table.candidates.map((of, m) => of.map((each, c) => ({ ...each, damage: damages[m][c] }))),
  }
}

/** Everything that decides about the bytes of the result. */
function journalOptions(options: CompressOptions, session: Session): JournalOptions {
  const { recipe, effort, seed, scope, windows, backend, scan } = session
  const calibration = createHash('sha256')
  for (const ids of [...windows.fit, ...windows.heldOut]) calibration.update(ids)
  return {
    bits: options.bits ?? null,
    'target size': options.targetSize ?? null,
    recipe: recipe.name,
    effort,
    seed,
    scope,
    calibration: options.calibration ?? null,
    'calibration tokens': calibration.digest('hex').slice(0, 16),
    backend: backend.name,
    model: scan.digest.slice(0, 16),
  }
}

/** Activations go to disk when both prefixes and a block's inputs together take over an eighth of the memory. */
function spillTo(journal: Journal, { model, windows }: Session, maxMemory: number): Run['spill'] {
  const { hiddenSize, intermediateSize } = model.config
  const floats = windows.fit.length * windows.length * (5 * hiddenSize + intermediateSize)
  return floats * 4 > maxMemory / 8 ? name => journal.scratch(`${name}.f32`) : () => undefined
}
