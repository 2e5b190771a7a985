import {
  type BlockwiseSettings,
  type FinetuneResult,
  finetuneArtifact,
  type LowRankPlan,
  saveTuned,
} from '@reallm/finetune'
import { lowRankOf, lowRankResidual, withLowRank } from '@reallm/lowrank'
import { type LongWork, ReallmError } from '@reallm/tensor-io'
import { type BackendName, type ModelWeights, openWeights, useBackend } from '@reallm/transformer'
import { basename, resolve, rm } from '#platform'
import { requireEmpty } from '../checkpoint/journal.ts'
import { builtInRegistry } from '../recipes/registry.ts'

export interface TuneOptions extends LongWork, Pick<LowRankPlan, 'rank' | 'alpha' | 'rsLora' | 'dora'> {
  /** A text or JSONL file. */
  readonly data: string
  /**
   * Directory to write. An artifact is written with the trained parts in it, and as far as PEFT's layout can hold them
   * the adapter too; any other model: the adapter. Absent: nothing is written, see the result.
   */
  readonly to?: string
  /** Optimiser steps; default 200. */
  readonly steps?: number
  /** Tokens per window, default 256, and windows per step, default 4. */
  readonly length?: number
  readonly rows?: number
  /** How often each window is seen, default 1; of a long text the rest is left out. */
  readonly passes?: number
  /** Tune block by block against the original first; needs `teacher`. */
  readonly blockwise?: boolean | BlockwiseSettings
  /** The original model: train on KL divergence to its predictions instead of on the text alone. */
  readonly teacher?: string
  /** Bits of each entry of the factors in the artifact that is written: 1 to 8, or 16. Default 8. */
  readonly factorBits?: number
  readonly learningRate?: number
  readonly seed?: number
  /** Go on with an unfinished run to the same directory. */
  readonly resume?: boolean
  readonly force?: boolean
  readonly backend?: BackendName
}

/**
 * Fine-tunes low-rank parts beside frozen weights, of a compressed model or any other (ReALLM §3.2). Checkpoints are kept
 * in `<to>.work` until the result is written.
 *
 * @throws `bad-option` when the data are too short, or `to` is not empty; `aborted` after saving a checkpoint
 * @example
 * const { adapter } = await finetune('out', { data: 'mine.jsonl', steps: 200 })
 * await adapter?.save('my-adapter')
 */
export async function finetune(spec: string, options: TuneOptions): Promise<FinetuneResult> {
  const { to, data, factorBits = 8, teacher: original, resume, force, backend, ...settings } = options
  if (!Number.isInteger(factorBits) || factorBits < 1 || (factorBits > 8 && factorBits !== 16)) {
    throw new ReallmError('bad-option', `factors cannot be stored on ${factorBits} bits`, {
      hint: 'use 1 to 8, or 16',
    })
  }
  if (to !== undefined) await requireEmpty(to, force)
  const work = to === undefined ? undefined : `${resolve(to)}.work`
  if (work !== undefined && !resume) await refuseUnfinished(work)
  const registry = builtInRegistry()
  await useBackend(backend)
  const model = await openWeights(spec, { registry })
  const teacher = original === undefined ? undefined : await openWeights(original, { registry })
  try {
    const isArtifact = model.files.kind === 'artifact'
    const result = await finetuneArtifact({
      ...settings,
      ...{ model, data },
      ...(isArtifact && { replace: { registry, store: factorStore } }),
      // what compression lost is more than low-rank parts can hold; PEFT's layout has no place for the rest
      ...(isArtifact && teacher && { norms: true, ...(!settings.dora && { rowScales: true }) }),
      ...(work !== undefined && { work }),
      ...(teacher && { teacher }),
    })
    if (to !== undefined) await save(to, model, result, options)
    if (work !== undefined) await rm(work, { recursive: true, force: true })
    return result
  } finally {
    await model.close()
    await teacher?.close()
  }
}

/** How artifacts store their low-rank parts. */
const factorStore: Parameters<typeof saveTuned>[2]['store'] = {
  factorsOf: e => (e.codec === lowRankResidual.name ? lowRankOf(e) : undefined),
  withFactors: withLowRank,
}

async function refuseUnfinished(work: string): Promise<void> {
  try {
    await requireEmpty(work, false)
  } catch (cause) {
    throw new ReallmError('bad-option', `${work} holds the work of an unfinished run`, {
      hint: 'continue it with --resume, or delete that directory to start anew',
      cause,
    })
  }
}

async function save(
  to: string,
  model: ModelWeights,
  result: FinetuneResult,
  options: TuneOptions,
): Promise<void> {
  if (options.force) await rm(to, { recursive: true, force: true })
  const report = { ...summaryOf(result), model: model.files.spec, data: basename(options.data) }
  if (model.files.kind === 'artifact') {
    const card = `# ${basename(resolve(to))}\n\n\`${model.files.spec}\`, fine-tuned on \`${report.data}\`.\n`
    const { factorBits: bits = 8 } = options
    await saveTuned(to, result.tuned, { model, store: factorStore, bits, report, card })
  }
  await result.adapter?.save(to)
}

/** What a fine-tuning run came to, in plain numbers. */
export function summaryOf({ before, after, history, blocks }: FinetuneResult) {
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
