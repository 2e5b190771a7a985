import { f16ToF32, fileStore, type LongWork, ReallmError } from '@reallm/tensor-io'
import {
  loadWeights,
  type ModelWeights,
  streamWidth,
  type TfTensor,
  type TransformerConfig,
  tf,
  type Weights,
} from '@reallm/transformer'
import type { AdamWOptions } from '@reallm/transformer/adamw'
import { type Batch, collate, digest, type Sequence, shuffled } from './batches.ts'
import type { SplitSequences } from './data/sequences.ts'
import { divergence } from './distill/divergence.ts'
import { directionLoss } from './distill/hidden-states.ts'
import { type Teaching, teacherLogits } from './distill/teacher.ts'
import { headLoss, type LossOfRows, nextToken } from './head-loss.ts'
import { meanLoss } from './loss.ts'
import { type Tunable, tunedHead, tunedStates } from './lowrank/forward.ts'
import { type StepRecord, train } from './train.ts'

/** How long and on what to train; `finetuneArtifact` takes them too. */
export interface EndToEndSettings extends LongWork, AdamWOptions {
  /** Optimiser steps; 0 only validates. Default 200. */
  readonly steps?: number | undefined
  /** Sequences per batch, default 4, and batches per step, default 1. */
  readonly rows?: number | undefined
  readonly accumulate?: number | undefined
  /**
   * How often each sequence is seen. With 2, half as much of a long text is used and given to the teacher. Default 1.
   */
  readonly passes?: number | undefined
  /** Highest learning rate; default 1e-3. */
  readonly learningRate?: number | undefined
  readonly warmup?: number | undefined
  readonly clip?: number | undefined
  readonly seed?: number | undefined
  /** Validations without a new best until the run ends and goes back to the best; default: never. */
  readonly patience?: number | undefined
  readonly validateEvery?: number | undefined
  /** The original model: train on KL divergence to its predictions instead of on the text. */
  readonly teacher?: ModelWeights | undefined
  /** Tokens of the teacher's prediction that are kept per position; default 64. */
  readonly topK?: number | undefined
  /**
   * With a teacher: weight of a term per token, the distance between the directions of its hidden states and the model's
   * after every block (OneBit, arXiv 2402.11295, has 1). Validation does not include it. Default 0.
   */
  readonly hiddenWeight?: number | undefined
  /** Keep one block's activations at a time: less memory, a third more time. */
  readonly gradientCheckpointing?: boolean | undefined
  /** Directory for checkpoints and the teacher's predictions: a stopped run resumes from it. */
  readonly work?: string | undefined
}

/** Options of end-to-end fine-tuning. */
export interface EndToEndOptions extends EndToEndSettings {
  readonly config: TransformerConfig
  /** Frozen weights. */
  readonly base: Weights
  readonly parts: Tunable
  readonly sequences: SplitSequences
  /** What else must be equal for a run to be resumed. */
  readonly fingerprint?: Readonly<Record<string, unknown>> | undefined
}

/** What end-to-end fine-tuning has learnt. */
export interface EndToEndResult {
  readonly history: readonly StepRecord[]
  /** Validation loss in nats per token (with a teacher: divergence from it), before and after. */
  readonly before?: number | undefined
  readonly after?: number | undefined
}

/** Most validation sequences, so that validation stays a small part of the time. */
export const MOST_VALIDATION = 8

/** Sequences that a run sees: the rest of a long text is neither kept nor given to a teacher. */
export const sequencesSeen = ({
  steps = 200,
  rows = 4,
  accumulate = 1,
  passes = 1,
}: EndToEndSettings): number => Math.max(1, Math.ceil((steps * rows * accumulate) / passes))

/** At most `count` sequences, spread evenly over all of them. */
export function spread(sequences: readonly Sequence[], count: number): Sequence[] {
  const n = Math.min(count, sequences.length)
  return Array.from({ length: n }, (_, i) => sequences[Math.floor((i * sequences.length) / n)])
}

/**
 * Trains any parts end to end on cross-entropy, or on KL divergence to a teacher, which is run once and then freed.
 * `finetuneArtifact` ends with it; LR-QAT and OneBit are trained by it.
 *
 * @example
 * const parts = lrQat(config, base, { bits: 3, rank: 8 }, 1)
 * await tuneEndToEnd({ config, base, parts, sequences, steps: 200, teacher })
 */
export async function tuneEndToEnd(options: EndToEndOptions): Promise<EndToEndResult> {
  const {
    config,
    base,
    parts,
    fingerprint = {},
    work,
    gradientCheckpointing: checkpointing = false,
  } = options
  const { steps = 200, rows = 4, seed = 0 } = options
  const hiddenWeight = options.teacher ? (options.hiddenWeight ?? 0) : 0
  const validation = spread(options.sequences.validation, MOST_VALIDATION)
  const seen = spread(options.sequences.train, sequencesSeen(options))
  const sequences = [...seen, ...validation]
  const teacher = await openTeacher(options, sequences)
  let now: Teaching | undefined
  const prepare = async (batch: Batch) => {
    now = await teacher?.of(batch)
  }
  const lossOf = (batch: Batch, hiddenWeight: number) =>
    tf.tidy(() => {
      const ids = tf.tensor2d(batch.ids, [batch.rows, batch.length], 'int32')
      const taught = now
      const apart: TfTensor[] = []
      const onBlock = (i: number, x: TfTensor) => {
        const wanted = () =>
          tf.tensor2d(f16ToF32(taught!.directions![i]), [batch.ids.length, streamWidth(config)])
        if (hiddenWeight > 0) apart.push(directionLoss(x, wanted, batch.weights).mul(hiddenWeight))
      }
      const states = tunedStates(config, base, parts, ids, { checkpointing, onBlock })
      const lossOfRows: LossOfRows = taught
        ? (logits, from) => divergence(logits, taught, from)
        : nextToken(batch.targets)
      const predictions = headLoss(config, tunedHead(base, parts), states, batch.weights, lossOfRows)
      return tf.addN([predictions, ...apart])
    })
  const validate = () =>
    meanLoss(
      validation.map((_, i) => collate(sequences, [seen.length + i])),
      batch => lossOf(batch, 0),
      prepare,
    )
  const before = validation.length > 0 ? finiteBefore(await validate()) : undefined
  if (before !== undefined) {
    options.onProgress?.({ event: 'validation-end', done: 0, total: steps, error: before })
  }
  if (steps === 0) return { history: [], before, after: before }
  const { history, validation: after } = await train({
    ...options,
    ...{ parameters: parts.parameters, steps, prepare },
    loss: batch => lossOf(batch, hiddenWeight),
    fingerprint: { ...fingerprint, rows, seen: seen.length, hiddenWeight: hiddenWeight || undefined },
    learningRate: options.learningRate ?? 1e-3,
    batches: shuffled(seen, { rows, seed }),
    validate: validation.length > 0 ? validate : undefined,
    validateEvery: options.validateEvery ?? Math.max(10, Math.ceil(steps / 5)),
    checkpoint: work === undefined ? undefined : fileStore(`${work}/checkpoint.safetensors`),
    checkpointEvery: 25,
  })
  return {
    history,
    before,
    after,
  }
}

function finiteBefore(loss: number): number {
  if (Number.isFinite(loss)) return loss
  throw new ReallmError('numeric', `the loss before training is ${loss}`, {
    hint: 'the weights of the model are at fault: see reallm eval',
  })
}

async function openTeacher(
  { teacher, topK, hiddenWeight = 0, work, signal, onProgress }: EndToEndOptions,
  sequences: readonly Sequence[],
) {
  if (!teacher) return undefined
  const weights = await loadWeights(teacher)
  try {
    return await teacherLogits({
      ...{ config: teacher.config, weights, sequences },
      fingerprint: { teacher: teacher.files.spec, sequences: digest(sequences) },
      k: topK,
      hidden: hiddenWeight > 0,
      path: work === undefined ? undefined : `${work}/teacher`,
      signal,
      onProgress,
    })
  } finally {
    tf.dispose(weights)
  }
}
