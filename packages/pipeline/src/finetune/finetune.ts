import {
  type BlockwiseSettings,
  type FinetuneResult,
  finetuneArtifact,
  type LowRankPlan,
  saveTuned,
  type TunedAdapter,
} from '@reallm/finetune'
import { lowRankOf, lowRankResidual, withLowRank } from '@reallm/lowrank'
import { type LongWork, ReallmError, writeFileAtomic } from '@reallm/tensor-io'
import {
  type BackendName,
  type ModelWeights,
  openWeights,
  readAdapter,
  useBackend,
  writeAdapter,
} from '@reallm/transformer'
import { availableParallelism, basename, createHash, entryAt, join, readFile, rm } from '#platform'
import { openCheckpoint } from '../checkpoint/checkpoint.ts'
import { helperThreads } from '../helper-threads.ts'
import { partsOfModel } from '../open/model-parts.ts'
import { openDestination } from '../output/destination.ts'
import { originOf } from '../output/origin.ts'
import { builtInRegistry } from '../recipes/registry.ts'
import { scoped } from '../scoped.ts'
import { finetuneStages, staged } from '../stages.ts'
import { adapterCard, tunedCard } from './tuned-card.ts'

/** Options of `finetune`. */
export interface TuneOptions extends LongWork, Pick<LowRankPlan, 'rank' | 'alpha' | 'rsLora' | 'dora'> {
  /** A text or JSONL file. */
  readonly data: string
  /**
   * Directory to write. An artifact is written with the trained parts in it, and as far as PEFT's layout can hold them
   * the adapter too; any other model: the adapter. Absent: nothing is written, see the result.
   */
  readonly to?: string | undefined
  /** Optimiser steps; default 200. */
  readonly steps?: number | undefined
  /** Tokens per window, default 256, and windows per step, default 4. */
  readonly length?: number | undefined
  readonly rows?: number | undefined
  /** How often each window is seen, default 1; of a long text the rest is left out. */
  readonly passes?: number | undefined
  /** Part of the data that is kept from training and measured; default 0.05, 0 keeps none. */
  readonly validation?: number | undefined
  /** Tune block by block against the original first; needs `teacher`. */
  readonly blockwise?: boolean | BlockwiseSettings | undefined
  /** The original model: train on KL divergence to its predictions instead of on the text alone. */
  readonly teacher?: string | undefined
  /** Bits of each entry of the factors in the artifact that is written: 1 to 8, or 16. Default 8. */
  readonly factorBits?: number | undefined
  /** Highest learning rate; default 3e-3, with a teacher 1e-3. */
  readonly learningRate?: number | undefined
  readonly seed?: number | undefined
  /** Go on with an unfinished run to the same directory. */
  readonly resume?: boolean | undefined
  /** Replace what an earlier run wrote to `to`. */
  readonly force?: boolean | undefined
  readonly backend?: BackendName | undefined
}

/** What a fine-tuning run came to, in plain numbers, and its adapter as far as PEFT's layout can hold what was trained. */
export interface TuneResult extends TuneSummary {
  /** Always there of a model that is no artifact; undefined for an artifact with low-rank parts of its own, or with a teacher. */
  readonly adapter?: TunedAdapter | undefined
}

/** Tokens that are read before weights change, at most. */
const mostInStep = 2 ** 20

/**
 * Fine-tunes low-rank parts beside frozen weights, of a compressed model or any other (ReALLM §3.2). Checkpoints are kept
 * in `<to>.work`, which is locked, until the result is complete and published.
 *
 * @throws `bad-option` when the data are too short, or `to` is not empty, is or holds what is read; `io` when `to` cannot be
 *   written; `numeric` when training diverges; `aborted` after saving a checkpoint
 * @example
 * const { adapter } = await finetune('out', { data: 'mine.jsonl', steps: 200 })
 * await adapter?.save('my-adapter')
 */
export async function finetune(spec: string, options: TuneOptions): Promise<TuneResult> {
  const { to, data, factorBits = 8, teacher, force, resume, rows = 4, length = 256 } = options
  if (!Number.isInteger(factorBits) || factorBits < 1 || (factorBits > 8 && factorBits !== 16)) {
    throw new ReallmError('bad-option', `factors cannot be stored on ${factorBits} bits`, {
      hint: 'use 1 to 8, or 16',
    })
  }
  if (rows * length > mostInStep) {
    throw new ReallmError('bad-option', `${rows} rows of ${length} tokens are too many for one step`, {
      hint: `${mostInStep} tokens fit: take fewer rows, or more steps`,
    })
  }
  if (to === undefined) return tune(spec, options)
  const output = await openDestination(to, { inputs: { model: spec, data, teacher }, force, resume })
  const run = await digestOf(spec, options)
  const program = 'reallm finetune'
  const identity = { command: program, model: spec, data, teacher: teacher ?? null }
  const checkpoint = await openCheckpoint(output.work, { program, identity, resume })
  try {
    if (resume && output.isPublished(run)) {
      await checkpoint.remove()
      return publishedResult(output.place)
    }
    const result = await tune(spec, options, output.work, async (model, found) => {
      const staged = join(output.work, 'result')
      await rm(staged, { recursive: true, force: true })
      await save(staged, model, found, options, basename(output.place))
      await output.publish(staged, run)
    })
    await checkpoint.remove()
    return result
  } finally {
    await checkpoint.close()
  }
}

/** Trains, with checkpoints in `work`, and hands the result to `publish` while the model is open. */
async function tune(
  spec: string,
  options: TuneOptions,
  work?: string,
  publish?: (model: ModelWeights, result: FinetuneResult) => Promise<void>,
): Promise<TuneResult> {
  const { teacher: original, backend, ...settings } = options
  const registry = builtInRegistry()
  await useBackend(backend)
  const progress = staged(finetuneStages(options), options)
  const opening = { registry, ...progress }
  return scoped(async own => {
    own(await helperThreads(availableParallelism()))
    const model = own(await openWeights(spec, opening))
    const teacher = original === undefined ? undefined : own(await openWeights(original, opening))
    const isArtifact = model.files.kind === 'artifact'
    const result = await finetuneArtifact({
      ...settings,
      ...progress,
      // a text shows after few steps; large ones lose what the original teaches
      learningRate: settings.learningRate ?? (teacher ? 1e-3 : 3e-3),
      model,
      ...(isArtifact && { replace: { registry, store: factorStore } }),
      // what compression lost is more than low-rank parts can hold; PEFT's layout has no place for the rest
      ...(isArtifact && teacher && { norms: true, ...(!settings.dora && { rowScales: true }) }),
      ...(work !== undefined && { work }),
      ...(teacher && { teacher }),
    })
    await publish?.(model, result)
    return { ...summaryOf(result), ...(result.adapter && { adapter: result.adapter }) }
  })
}

/** Tells a run from others with the same output: what was asked, and how long the data are. */
async function digestOf(spec: string, options: TuneOptions): Promise<string> {
  const { to: _, signal: __, onProgress: ___, resume: ____, force: _____, ...asked } = options
  const bytes = (await entryAt(options.data))?.bytes
  return createHash('sha256')
    .update(JSON.stringify([spec, bytes, Object.entries(asked).sort()]))
    .digest('hex')
}

/** The result of a run that was killed after it had published. */
async function publishedResult(place: string): Promise<TuneResult> {
  const {
    model: _,
    data: __,
    ...summary
  } = JSON.parse(await readFile(join(place, REPORT), 'utf8')) as TuneReport
  if (!(await entryAt(join(place, 'adapter_config.json')))) return summary
  const adapter = await readAdapter(place)
  return { ...summary, adapter: { ...adapter, save: directory => writeAdapter(directory, adapter) } }
}

/** How artifacts store their low-rank parts. */
const factorStore: Parameters<typeof saveTuned>[2]['store'] = {
  factorsOf: e => (e.codec === lowRankResidual.layout.codec ? lowRankOf(e) : undefined),
  withFactors: withLowRank,
}

const REPORT = 'reallm-report.json'

async function save(
  folder: string,
  model: ModelWeights,
  result: FinetuneResult,
  options: TuneOptions,
  title: string,
): Promise<void> {
  const report: TuneReport = { ...summaryOf(result), model: model.files.spec, data: basename(options.data) }
  const origin = await originOf(model.files)
  const { rank = 8, factorBits = 8, teacher } = options
  const training = {
    ...report,
    isDivergence: teacher !== undefined,
    rank: typeof rank === 'number' ? rank : undefined,
  }
  if (model.files.kind === 'artifact') {
    const { parameters } = partsOfModel(model.config)
    const card = (bytes: number) => tunedCard(title, origin, training, { bytes, parameters, factorBits })
    await saveTuned(folder, result.tuned, { model, store: factorStore, bits: factorBits, report, card })
  } else {
    await writeFileAtomic(join(folder, REPORT), `${JSON.stringify(report, null, 2)}\n`)
    await writeFileAtomic(join(folder, 'README.md'), adapterCard(title, origin, training))
  }
  await result.adapter?.save(folder)
}

/** What a fine-tuning run came to, in plain numbers. */
export interface TuneSummary extends Pick<FinetuneResult, 'before' | 'after'> {
  /** Steps done, those of earlier calls included. */
  readonly steps: number
  readonly blocks?: FinetuneResult['blocks']
  readonly history: readonly Pick<FinetuneResult['history'][number], 'step' | 'loss' | 'validation'>[]
}

/** `reallm-report.json`. */
interface TuneReport extends TuneSummary {
  readonly model: string
  readonly data: string
}

function summaryOf({ before, after, history, blocks }: FinetuneResult): TuneSummary {
  return {
    ...(before !== undefined && { before }),
    ...(after !== undefined && { after }),
    steps: history.at(-1)?.step ?? 0,
    ...(blocks.length > 0 && { blocks }),
    history: history.map(({ step, loss, validation }) => ({
      step,
      loss,
      ...(validation !== undefined && { validation }),
    })),
  }
}
