import { counted } from '@reallm/tensor-io'
import { engineName } from '#platform'
import { type Allocation, frontierOf } from '../allocate/allocate-bits.ts'
import type { Identity } from '../checkpoint/checkpoint.ts'
import type { Evaluation } from '../evaluate/evaluate.ts'
import type { QuantisedModel } from '../quantise/quantised-model.ts'
import type { Sensitivity } from '../sensitivity/measure-sensitivity.ts'
import type { Start } from '../start.ts'
import type { Usage } from './clock.ts'
import type { CompressReport, TuningReport } from './report.ts'
import type { UnpublishedModel } from './target.ts'

/** What a run came to. */
export interface Finished extends Start {
  readonly identity: Identity
  readonly sensitivity: Sensitivity
  readonly allocation: Allocation
  readonly quantised: QuantisedModel
  readonly tuning?: TuningReport | undefined
  readonly written: UnpublishedModel
  readonly evaluation: Evaluation
}

/** The report of a run, without what it took. */
export function reportOf(run: Finished): Omit<CompressReport, keyof Usage> {
  const { model, settings, sequences, written, quantised, allocation, table, backend, encoder } = run
  const { parameters } = model.parts
  return {
    version: 2,
    model: model.spec,
    recipe: settings.recipe.name,
    seed: settings.seed,
    options: run.identity,
    size: {
      bytes: written.bytes,
      originalBytes: model.weights.files.bytes,
      parameters,
      bitsPerWeight: (8 * written.bytes) / parameters,
    },
    calibration: run.importance
      ? `the importance matrix ${run.importance.source}`
      : `${counted(sequences.calibration.length, 'sequence')} of ${sequences.length} tokens from ${sequences.source}`,
    tuning: run.tuning,
    ...run.evaluation,
    matrices: quantised.reports,
    predictedUnit: predictedUnit(run),
    predicted: allocation.predicted,
    frontier: frontierOf(table, run.sensitivity),
    machine: { node: engineName(), backend: backend.name, threads: encoder.threads },
  }
}

/** What predictions are counted in. */
export function predictedUnit({ importance, settings }: Pick<Start, 'importance' | 'settings'>): string {
  if (settings.recipe.allocate !== 'measured') return 'predicted loss, no unit'
  return importance
    ? 'half the sum of relative squared output errors'
    : 'predicted KL divergence, nats per token'
}
