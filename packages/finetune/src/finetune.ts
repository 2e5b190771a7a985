import { type LongWork, openFileSource, ReallmError, type Registry, readAll, textOf } from '@reallm/tensor-io'
import { crossEntropy, loadWeights, type ModelWeights, type TfTensor, tf } from '@reallm/transformer'
import { type AdamWOptions, assign } from './adamw.ts'
import { type Batch, collate, shuffled, type Window } from './batches.ts'
import { type BlockReport, type BlockwiseOptions, tuneBlockwise } from './blockwise/blockwise.ts'
import { fileStore } from './checkpoint.ts'
import { parseExamples } from './data/examples.ts'
import { type SplitWindows, splitWindows } from './data/windows.ts'
import { divergence, type TopK } from './distill/divergence.ts'
import { teacherLogits } from './distill/teacher.ts'
import { meanLoss } from './loss.ts'
import { tunedLogits } from './lowrank/forward.ts'
import { describePlan, type LowRankPlan } from './lowrank/plan.ts'
import { type Trainable, trainable } from './lowrank/trainable.ts'
import { adapterOf, type Tuned, type TunedAdapter, tunedOf } from './result.ts'
import { type FactorStore, type Student, takeApart } from './student.ts'
import { type StepRecord, train } from './train.ts'

export interface FinetuneOptions extends LongWork, LowRankPlan, AdamWOptions {
  /** The model to tune, compressed or not; an artifact is opened with a registry. Stays open and unchanged. */
  readonly model: ModelWeights
  /** A text or JSONL file, or its contents. */
  readonly data: string | { readonly name: string; readonly contents: string }
  /** Optimiser steps end to end; 0 leaves it at the block-wise part. Default 200. */
  readonly steps?: number
  /** Tokens per window; default 256, or what the model has. */
  readonly length?: number
  /** Windows per batch, default 4, and batches per step, default 1. */
  readonly rows?: number
  readonly accumulate?: number
  /** Highest learning rate; default 1e-3. */
  readonly learningRate?: number
  readonly warmup?: number
  readonly clip?: number
  readonly seed?: number
  /** Several examples in one window (default), or one each. */
  readonly packing?: boolean
  /** Part of the data for validation; default 0.05. */
  readonly validation?: number
  /** Validations without a new best until the run ends and goes back to the best; default: never. */
  readonly patience?: number
  readonly validateEvery?: number
  /** The original model: train on KL divergence to its predictions instead of on the text. */
  readonly teacher?: ModelWeights
  /** Tokens of the teacher's prediction that are kept per position; default 64. */
  readonly topK?: number
  /** First tune block by block against the teacher. */
  readonly blockwise?:
    | boolean
    | (Partial<Pick<BlockwiseOptions, BlockwiseNumbers>> & { readonly windows?: number })
  /** Keep one block's activations at a time: less memory, a third more time. */
  readonly gradientCheckpointing?: boolean
  /** Directory for checkpoints and the teacher's predictions: a run that was stopped goes on from it. */
  readonly work?: string
  /** Train an artifact's own low-rank parts in place of new ones beside them; needed by `saveTuned`. */
  readonly replace?: { readonly registry: Registry; readonly store: FactorStore }
}

type BlockwiseNumbers = 'steps' | 'rows' | 'learningRate' | 'patience'

export interface FinetuneResult {
  /** The trained parts as an adapter; undefined when norms or the artifact's own factors were trained. */
  readonly adapter?: TunedAdapter
  /** The trained parts as numbers, for `saveTuned`. */
  readonly tuned: Tuned
  readonly history: readonly StepRecord[]
  readonly blocks: readonly BlockReport[]
  /** Validation loss in nats per token (with a teacher: divergence from it), before and after. */
  readonly before?: number
  readonly after?: number
}

/**
 * Trains low-rank parts beside frozen (compressed) weights on a text or on examples: block by block, then end to end
 * on cross-entropy or on KL divergence to a teacher (ReALLM §3.2). `useBackend` first.
 *
 * Progress: `teacher-window`, `block-end`, `step-end` (error = loss), `validation-end`, with `eta` in seconds.
 *
 * @throws `bad-option` on data that are too short or a teacher that does not fit; `aborted` after saving a checkpoint
 * @example
 * const { adapter } = await finetuneArtifact({ model: await openWeights('out'), data: 'mine.jsonl', steps: 200 })
 * await adapter?.save('my-adapter')
 */
export async function finetuneArtifact(options: FinetuneOptions): Promise<FinetuneResult> {
  const { model, teacher, seed = 0, replace, blockwise = false } = options
  checkTeacher(options)
  const student: Student = replace
    ? await takeApart(model, replace.registry, replace.store)
    : { model, start: new Map(), rowScales: new Map() }
  const windows = await readWindows(options)
  const plan = describePlan(model.config, options)
  const spec = { model: model.files.spec, teacher: teacher?.files.spec }
  const fingerprint = { ...spec, plan, seed, windows: digest(windows) }
  const first = blockwise === false ? undefined : await runBlockwise(options, student, windows, fingerprint)
  const base = await loadWeights(student.model)
  const parts = trainable(student.model.config, base, options, seed, student)
  try {
    for (const name of first?.parameters.keys() ?? [])
      assign(parts.parameters.get(name)!, first!.parameters, name)
    const ran = await runEndToEnd(options, student, base, parts, windows, fingerprint)
    const whole = student.start.size === 0 && student.rowScales.size === 0 && !options.norms
    return {
      ...ran,
      ...(whole && { adapter: await adapterOf(parts, base, model.files.spec) }),
      tuned: await tunedOf(parts, base),
      blocks: first?.blocks ?? [],
    }
  } finally {
    parts.dispose()
    tf.dispose(base)
  }
}

function checkTeacher({ model, teacher, blockwise }: FinetuneOptions): void {
  if (!teacher && blockwise) {
    throw new ReallmError('bad-option', 'tuning block by block needs the original model as teacher')
  }
  const { vocabSize, hiddenSize, layers } = model.config
  const own = { vocabSize, ...(blockwise && { hiddenSize, layers }) }
  for (const [key, value] of Object.entries(own)) {
    const other = teacher?.config[key as keyof typeof own]
    if (other !== undefined && other !== value) {
      throw new ReallmError('bad-option', `the teacher's ${key} is ${other}, the model's ${value}`, {
        hint: 'the teacher must be the model that was compressed',
      })
    }
  }
}

async function readWindows(options: FinetuneOptions): Promise<SplitWindows> {
  const { model, data, seed = 0, packing, validation } = options
  const { name, contents } = typeof data === 'string' ? { name: data, contents: await readText(data) } : data
  const length = options.length ?? Math.min(256, model.config.maxPositions)
  return splitWindows(parseExamples(contents, name), await model.tokenizer(), {
    ...{ length, seed },
    ...(packing !== undefined && { packing }),
    ...(validation !== undefined && { validation }),
  })
}

async function readText(path: string): Promise<string> {
  const source = await openFileSource(path)
  const bytes = await readAll(source)
  await source.close()
  return textOf(bytes)
}

async function runBlockwise(
  options: FinetuneOptions,
  student: Student,
  { train, validation }: SplitWindows,
  fingerprint: Readonly<Record<string, unknown>>,
) {
  const { teacher, seed = 0, signal, onProgress, work, blockwise } = options
  const { windows = 64, ...numbers } = typeof blockwise === 'object' ? blockwise : {}
  return tuneBlockwise({
    ...numbers,
    ...(signal && { signal }),
    ...(onProgress && { onProgress }),
    student: student.model,
    teacher: teacher!,
    windows: train.slice(0, windows),
    validation: validation.slice(0, MOST_VALIDATION),
    plan: options,
    start: student.start,
    rowScales: student.rowScales,
    seed,
    fingerprint,
    ...(work !== undefined && { journal: (i: number) => fileStore(`${work}/block-${i}.safetensors`) }),
  })
}

async function runEndToEnd(
  options: FinetuneOptions,
  { model: { config } }: Student,
  base: Record<string, TfTensor>,
  parts: Trainable,
  split: SplitWindows,
  fingerprint: Readonly<Record<string, unknown>>,
): Promise<Pick<FinetuneResult, 'history' | 'before' | 'after'>> {
  const { steps = 200, rows = 4, accumulate = 1, seed = 0, work, gradientCheckpointing } = options
  const heldOut = split.validation.slice(0, MOST_VALIDATION)
  // of a long text only as many windows as the steps will see need a teacher
  const seen = split.train.slice(0, Math.max(1, steps * rows * accumulate))
  const windows = [...seen, ...heldOut]
  const teacher = await openTeacher(options, windows, fingerprint)
  let now: TopK | undefined
  const prepare = async (batch: Batch) => {
    now = await teacher?.of(batch)
  }
  const loss = (batch: Batch) =>
    tf.tidy(() => {
      const ids = tf.tensor2d(batch.ids, [batch.rows, batch.length], 'int32')
      const logits = tunedLogits(config, base, parts, ids, gradientCheckpointing)
      const losses = now ? divergence(logits, now) : crossEntropy(logits, tf.tensor1d(batch.targets, 'int32'))
      return losses.mul(tf.tensor1d(batch.weights)).sum() as TfTensor
    })
  const validate = () =>
    meanLoss(
      heldOut.map((_, i) => collate(windows, [seen.length + i])),
      loss,
      prepare,
    )
  try {
    const before = heldOut.length > 0 ? await validate() : undefined
    if (steps === 0) return { history: [], ...(before !== undefined && { before, after: before }) }
    const { history, validation } = await train({
      ...options,
      ...{ parameters: parts.parameters, steps, loss, prepare, fingerprint },
      learningRate: options.learningRate ?? 1e-3,
      batches: shuffled(seen, { rows, seed }),
      ...(heldOut.length > 0 && {
        validate,
        validateEvery: options.validateEvery ?? Math.max(10, Math.ceil(steps / 10)),
      }),
      ...(work !== undefined && {
        checkpoint: fileStore(`${work}/checkpoint.safetensors`),
        checkpointEvery: 25,
      }),
    })
    return {
      history,
      ...(before !== undefined && { before }),
      ...(validation !== undefined && { after: validation }),
    }
  } finally {
    await teacher?.close()
  }
}

async function openTeacher(
  { teacher, topK, work, signal, onProgress }: FinetuneOptions,
  windows: readonly Window[],
  fingerprint: Readonly<Record<string, unknown>>,
) {
  if (!teacher) return undefined
  const weights = await loadWeights(teacher)
  try {
    return await teacherLogits({
      ...{ config: teacher.config, weights, windows, fingerprint },
      ...(topK !== undefined && { k: topK }),
      ...(work !== undefined && { path: `${work}/teacher.safetensors` }),
      ...(signal && { signal }),
      ...(onProgress && { onProgress }),
    })
  } finally {
    tf.dispose(weights)
  }
}

/** Validation looks at no more windows than this, so that it stays a small part of the time. */
const MOST_VALIDATION = 16

/** A number that tells one set of windows from another (FNV-1a). */
function digest({ train, validation }: SplitWindows): number {
  let hash = 0x811c9dc5
  for (const { ids } of [...train, ...validation]) {
    for (let i = 0; i < ids.length; i++) hash = Math.imul(hash ^ ids[i], 0x01000193)
  }
  return hash >>> 0
}
