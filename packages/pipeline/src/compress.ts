import { type ModelFiles, type ProgressEvent, ReallmError } from '@reallm/tensor-io'
import { basename, createHash } from '#platform'
import { allocateBits } from './allocate/allocate-bits.ts'
import { type BudgetOptions, budgetOf } from './allocate/budget.ts'
import { type Identity, openCheckpoint } from './checkpoint/checkpoint.ts'
import type { Encoder } from './encoder/encode-job.ts'
import { evaluate } from './evaluate/evaluate.ts'
import { isUnchanged } from './open/is-unchanged.ts'
import { startClock } from './output/clock.ts'
import { openDestination } from './output/destination.ts'
import { originOf } from './output/origin.ts'
import { publishModel } from './output/publish-model.ts'
import { readReport } from './output/read-report.ts'
import type { CompressReport } from './output/report.ts'
import { reportFiles } from './output/report-files.ts'
import { reportOf } from './output/report-of.ts'
import { quantise } from './quantise/quantise.ts'
import { scoped } from './scoped.ts'
import { measure } from './sensitivity/measure.ts'
import { compressStages, inStages } from './stages.ts'
import { type Start, type StartOptions, start } from './start.ts'
import { tune } from './tune/tune.ts'
import { tuneText } from './tune/tune-budget.ts'

/** Options of `compress`. */
export interface CompressOptions extends StartOptions, BudgetOptions {
  /** Directory to write to, empty or new; for the target `gguf` it may be a file that ends in `.gguf`. */
  readonly to: string
  /** Go on with an unfinished run to the same directory. */
  readonly resume?: boolean | undefined
  /** Replace what an earlier run wrote to `to`. */
  readonly force?: boolean | undefined
  /** Measure perplexity and KL divergence at the end; default true. */
  readonly evaluate?: boolean | undefined
}

/**
 * Compresses a model into an artifact directory. Memory holds one layer and the calibration activations. The work directory
 * `<to>.work` is a checkpoint: a run that was stopped or killed goes on with `resume`, and ends in the same bytes. The same
 * seed and input give the same bytes whatever the number of threads.
 *
 * @throws `bad-option` when the size cannot be reached or `to` cannot be used; `numeric` for weights that are not finite;
 *   `integrity` when the model changes meanwhile; `changed-option` when a resumed run's options differ; `aborted`
 * @example
 * const report = await compress('npm:@reallm/tiny', { to: 'out', bits: 3 })
 * console.table(report.matrices)
 */
export const compress = (source: string | ModelFiles, options: CompressOptions): Promise<CompressReport> =>
  scoped(async own => {
    const clock = startClock()
    const budget = budgetOf(options)
    const { to, calibration, imatrix, adapter, force, resume } = options
    const inputs = { model: typeof source === 'string' ? source : undefined, calibration, imatrix, adapter }
    const file = fileOf(options)
    const destination = await openDestination(to, { inputs, force, resume, file })

    let followed: Encoder | undefined
    const onProgress = (event: ProgressEvent) => {
      followed?.follow?.(event)
      options.onProgress?.(event)
    }
    const stages = inStages(compressStages(options.tune !== undefined), {
      signal: options.signal,
      onProgress,
    })
    const started = await start(own, source, { ...options, ...stages.work('open') }, budget)
    const { model, settings, target, table, sequences, encoder, memory } = started
    followed = encoder
    clock.endStage('open')
    const at = (stage: keyof ReturnType<typeof compressStages>) => ({
      ...started,
      settings: { ...settings, ...stages.work(stage) },
    })
    const identity = identityOf(started, options)
    const run = digestOf(JSON.stringify(identity))
    const checkpoint = own(
      await openCheckpoint(destination.work, { program: 'reallm compress', identity, resume }),
    )
    if (!destination.isPublished(run)) {
      const sensitivity = await measure({ ...at('measure'), checkpoint })
      clock.endStage('measure')
      const allocation = allocateBits(table, sensitivity, budget)
      const rounded = await quantise({ ...at('quantise'), allocation, checkpoint })
      await encoder.close()
      clock.endStage('quantise')
      const teach = stages.work('teach')
      const { quantised, tuning } = await tune({ ...at('tune'), teach, quantised: rounded, checkpoint })
      clock.endStage('tune')
      await checkpoint.refuseLoss()
      const written = await target.write(quantised, destination.work, file && basename(destination.place))
      clock.endStage('write')
      if (!(await isUnchanged(model, at('quantise').settings))) {
        await checkpoint.remove()
        throw changedSource(model.spec)
      }
      const evaluation =
        options.evaluate === false
          ? {}
          : await evaluate(model, written.path, sequences, memory.most, at('evaluate').settings)
      clock.endStage('evaluate')
      const report = reportOf({
        ...started,
        identity,
        sensitivity,
        allocation,
        quantised,
        tuning,
        written,
        evaluation,
      })
      const origin = await originOf(model.weights.files)
      await publishModel(written, target.name, { ...report, ...clock.usage() }, origin, destination, run)
    }
    await checkpoint.remove()
    return readReport(destination.place)
  })

/** The files of an output that is no directory. */
function fileOf({ to, target, shardSize }: CompressOptions) {
  if (target !== 'gguf' || !to.endsWith('.gguf')) return undefined
  if (shardSize === undefined) return { beside: Object.values(reportFiles(to)) }
  throw new ReallmError('bad-option', `${to} is one file, and a model in parts is several`, {
    hint: 'give a directory as the output, or leave --shard-size away',
  })
}

/** What was made of two sources is of no use to a later run either. */
const changedSource = (spec: string) =>
  new ReallmError('integrity', `${spec} has changed while it was compressed`, {
    hint: 'leave it alone and start anew; the work on it was discarded',
  })

/** Everything that decides about the bytes of the result. */
function identityOf(
  { settings, sequences, importance, backend, model }: Start,
  options: CompressOptions,
): Identity {
  const { recipe, effort, seed, scope, sequential, target } = settings
  return {
    target,
    bits: options.bits ?? null,
    'target size': options.targetSize ?? null,
    recipe: recipe.name,
    effort,
    seed,
    scope,
    sequential,
    adapter: options.adapter ?? null,
    calibration: options.calibration === undefined ? null : [options.calibration].flat().join(', '),
    ...(settings.tune ? { tune: tuneText(settings.tune) } : {}),
    ...(importance ? { 'importance matrix': importance.digest } : {}),
    'calibration tokens': digestOf(...sequences.calibration, ...sequences.validation).slice(0, 16),
    backend: backend.name,
    model: model.digest.slice(0, 16),
  }
}

function digestOf(...parts: readonly (string | Int32Array)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}
