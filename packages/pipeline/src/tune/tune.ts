import { type EndToEndOptions, sequencesOf, type Trainable, trainable, tuneEndToEnd } from '@reallm/finetune'
import { fromFloat32, type LongWork, type ProgressEvent, type Tensor, tensor } from '@reallm/tensor-io'
import { loadWeights, type TransformerConfig, tf, type Weights } from '@reallm/transformer'
import * as z from 'zod'
import type { Sequences } from '../calibrate/sequences.ts'
import type { Checkpoint } from '../checkpoint/checkpoint.ts'
import { jsonKey } from '../checkpoint/keys.ts'
import type { OpenedModel } from '../open/open-model.ts'
import type { TuningReport } from '../output/report.ts'
import type { MemoryPlan } from '../plan-memory.ts'
import type { QuantisedModel } from '../quantise/quantised-model.ts'
import type { Settings } from '../settings.ts'
import { decodedWeights } from './decoded-weights.ts'
import { stepsWithin } from './steps-within.ts'
import { longestSequence } from './tune-memory.ts'
import { type TunedParts, tunedModel, tunedPartsKey } from './tuned-model.ts'

/** What training after rounding starts from. */
export interface TuneInput {
  readonly model: OpenedModel
  readonly quantised: QuantisedModel
  readonly sequences: Sequences
  readonly checkpoint: Checkpoint
  readonly memory: Pick<MemoryPlan, 'trainsByLayer'>
  readonly settings: Settings
  /** Hears of the original's predictions, which training has first. */
  readonly teach: LongWork
}

/** A quantised model, and what training made of it, where there was some. */
export interface Tuned {
  readonly quantised: QuantisedModel
  readonly tuning?: TuningReport
}

/** What is trained: a factor on each row of the layers' matrices, and norms. */
const PLAN = { rank: 0, rowScales: 'all', norms: true } as const
const TRAINING = { rows: 1, accumulate: 4, passes: 2 }
/** Highest learning rate: what row factors change adds up over the layers, so that deeper models take smaller steps. */
const learningRateOf = ({ layers }: TransformerConfig): number => Math.min(5e-3, 0.03 / layers)
/** Learning rate of a norm's weights over that of row factors, relative to their size. */
const NORM_RATE = 0.5
/** Size that a norm's weights have at least, for their learning rate. */
const LEAST_NORM = 0.05

/** Sequences that a text is cut into at least, of which one in so many validates, and at most so many do. */
const LEAST_SEQUENCES = 16
const MOST_VALIDATION = 8

const stepsKey = jsonKey('tuned/steps.json', z.object({ steps: z.number() }))
const reportKey = jsonKey<TuningReport>(
  'tuned/model.json',
  z.object({ steps: z.number(), tokens: z.number(), before: z.number(), after: z.number() }),
)

/**
 * Trains what is continuous of a quantised model end to end on KL divergence to the original's predictions, on the
 * calibration text before its validation sequences; codes stay as they are. Goes on with what the checkpoint has of it. A
 * training that does not lower the divergence on held-out sequences leaves the model as it was.
 */
export async function tune(input: TuneInput): Promise<Tuned> {
  const { quantised, checkpoint, settings } = input
  if (!settings.tune) return { quantised }
  let tuning = await checkpoint.get(reportKey)
  if (!tuning) {
    const trained = await train(input)
    await checkpoint.put(tunedPartsKey, trained.parts)
    tuning = trained.tuning
    // The report comes last: without it, training goes on.
    await checkpoint.put(reportKey, tuning)
  }
  return { quantised: tunedModel(quantised, (await checkpoint.get(tunedPartsKey))!), tuning }
}

async function train({ model, quantised, sequences, checkpoint, memory, settings, teach }: TuneInput) {
  const { config, weights: teacher } = model
  const { seed, signal } = settings
  const onProgress = (event: ProgressEvent) =>
    (event.event === 'teacher-end' ? teach : settings).onProgress?.(event)
  const budget = settings.tune!
  const base = await loadWeights(await decodedWeights(model, quantised))
  const fresh = () => trainable(config, base, PLAN, seed)
  const parts = fresh()
  try {
    const split = splitOf(sequences.text, Math.min(longestSequence, config.maxPositions))
    const job: EndToEndOptions = {
      ...{ config, base, parts, teacher, seed, signal, onProgress, sequences: split },
      ...TRAINING,
      gradientCheckpointing: memory.trainsByLayer,
      learningRate: learningRateOf(config),
      rates: await ratesOf(parts, base),
      work: await checkpoint.folder('tuned/training'),
    }
    const timed = async (minutes: number) => {
      const trial = fresh()
      try {
        return { steps: await stepsWithin(60 * minutes, { ...job, parts: trial }) }
      } finally {
        trial.dispose()
      }
    }
    const { steps } =
      'steps' in budget ? budget : await checkpoint.once(stepsKey, () => timed(budget.minutes))
    const { before, after } = (await tuneEndToEnd({ ...job, steps })) as Record<'before' | 'after', number>
    const tokens = steps * TRAINING.accumulate * (split.train[0].ids.length - 1)
    const nothing: TunedParts = { rowScales: new Map(), norms: new Map() }
    return {
      parts: after < before ? await trainedParts(parts, model.plain) : nothing,
      tuning: { steps, tokens, before, after: Math.min(before, after) },
    }
  } finally {
    parts.dispose()
    tf.dispose(base)
  }
}

/** A text's sequences; the last ones validate. */
function splitOf(text: Int32Array, longest: number) {
  const length = Math.max(1, Math.min(longest, Math.floor((text.length - 1) / LEAST_SEQUENCES)))
  const all = sequencesOf(text, length)
  const validation = Math.min(MOST_VALIDATION, Math.ceil(all.length / LEAST_SEQUENCES))
  return { train: all.slice(0, -validation), validation: all.slice(-validation) }
}

/** Learning rates by name: a norm's goes by the size of its weights, which differs by a factor of fifty over a model. */
async function ratesOf({ parameters }: Trainable, base: Weights): Promise<Record<string, number>> {
  const rates: Record<string, number> = {}
  for (const name of parameters.keys()) {
    if (!name.endsWith('norm.weight')) continue
    const values = (await base[name].data()) as Float32Array
    const size = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length)
    rates[name] = NORM_RATE * Math.max(LEAST_NORM, size)
  }
  return rates
}

/** The trained values as they are stored; a norm takes as many bits as it did. */
async function trainedParts(
  { parameters }: Trainable,
  plain: Readonly<Record<string, Tensor>>,
): Promise<TunedParts> {
  const rowScales = new Map<string, Tensor>()
  const norms = new Map<string, Tensor>()
  for (const [name, variable] of parameters) {
    const values = Float32Array.from((await variable.data()) as Float32Array)
    const [, module] = /^(.*)\.row_scale$/.exec(name) ?? []
    if (module !== undefined) {
      rowScales.set(module, tensor('F32', variable.shape, values))
      continue
    }
    const { dtype } = plain[name]
    const finer = dtype === 'BF16' && values.every(v => Math.abs(v) < 65_000) ? 'F16' : dtype
    norms.set(name, tensor(finer, variable.shape, fromFloat32(finer, values)))
  }
  return { rowScales, norms }
}
