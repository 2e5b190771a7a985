import { bytesSource, fileStore, openFileSource, ReallmError, type Registry } from '@reallm/tensor-io'
import { loadWeights, type ModelWeights, tf } from '@reallm/transformer'
import { assign } from '@reallm/transformer/adamw'
import { digest } from './batches.ts'
import { type BlockReport, type BlockwiseOptions, tuneBlockwise } from './blockwise/blockwise.ts'
import { readSequences, type SplitSequences } from './data/sequences.ts'
import {
  type EndToEndResult,
  type EndToEndSettings,
  MOST_VALIDATION,
  sequencesSeen,
  spread,
  tuneEndToEnd,
} from './end-to-end.ts'
import { describePlan, type LowRankPlan } from './lowrank/plan.ts'
import { trainable } from './lowrank/trainable.ts'
import { adapterOf, type Tuned, type TunedAdapter, tunedOf } from './result.ts'
import { type FactorStore, type Student, takeApart } from './student.ts'

/** Options of `finetuneArtifact`. */
export interface FinetuneOptions extends LowRankPlan, EndToEndSettings {
  /** The model to tune, compressed or not; an artifact is opened with a registry. Stays open and unchanged. */
  readonly model: ModelWeights
  /** A text or JSONL file, which is read in pieces, or its contents. */
  readonly data: string | { readonly name: string; readonly contents: string }
  /** Tokens per sequence; default 256, or what the model has. */
  readonly length?: number | undefined
  /** Several examples in one sequence (default), or one each. */
  readonly packing?: boolean | undefined
  /** Part of the data for validation; default 0.05. */
  readonly validation?: number | undefined
  /** First tune block by block against the teacher. */
  readonly blockwise?: boolean | BlockwiseSettings | undefined
  /** Train an artifact's own low-rank parts in place of new ones beside them; needed by `saveTuned`. */
  readonly replace?: { readonly registry: Registry; readonly store: FactorStore } | undefined
}

/**
 * Factors on the learning rate. Norms' weights are small, often a few hundredths, and each moves a whole channel; row
 * factors are near 1 and move a whole output.
 */
const RATES = { weight: 0.1, row_scale: 0.5 }

/** How long and on what to tune each block; see `BlockwiseOptions`. */
export interface BlockwiseSettings
  extends Partial<Pick<BlockwiseOptions, 'steps' | 'rows' | 'learningRate' | 'patience' | 'maxMemory'>> {
  /** Sequences to train on; default 64. */
  readonly sequences?: number | undefined
}

/** What `finetuneArtifact` has learnt, and its losses. */
export interface FinetuneResult extends EndToEndResult {
  /** The trained parts as an adapter; undefined when norms or the artifact's own factors were trained. */
  readonly adapter?: TunedAdapter | undefined
  /** The trained parts as numbers, for `saveTuned`. */
  readonly tuned: Tuned
  readonly blocks: readonly BlockReport[]
}

/**
 * Trains low-rank parts beside frozen (compressed) weights on a text or on examples: block by block, then end to end
 * on cross-entropy or on KL divergence to a teacher (ReALLM §3.2). `useBackend` first.
 *
 * Progress: `data-read`, `teacher-end`, `block-end`, `step-end` (error = loss), `validation-end`, with `eta` in seconds.
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
  const sequences = await sequencesFor(options)
  const plan = describePlan(model.config, options)
  const spec = { model: model.files.spec, teacher: teacher?.files.spec }
  const fingerprint = {
    ...spec,
    plan,
    seed,
    sequences: digest([...sequences.train, ...sequences.validation]),
  }
  const first = blockwise === false ? undefined : await runBlockwise(options, student, sequences, fingerprint)
  const base = await loadWeights(student.model)
  const parts = trainable(student.model.config, base, options, seed, student)
  try {
    for (const name of first?.parameters.keys() ?? [])
      assign(parts.parameters.get(name)!, first!.parameters, name)
    const { config } = student.model
    const rates = options.rates ?? RATES
    const ran = await tuneEndToEnd({ ...options, rates, config, base, parts, sequences, fingerprint })
    const whole = student.start.size === 0 && student.rowScales.size === 0 && !options.norms
    return {
      ...ran,
      adapter: whole ? await adapterOf(parts, base, model.files.spec) : undefined,
      tuned: await tunedOf(parts, base),
      blocks: first?.blocks ?? [],
    }
  } finally {
    parts.dispose()
    tf.dispose(base)
  }
}

function checkTeacher({ model, teacher, blockwise, hiddenWeight, validation }: FinetuneOptions): void {
  if (blockwise && validation === 0) {
    throw new ReallmError('bad-option', 'tuning block by block needs data for validation', {
      hint: 'it decides when a block is done',
    })
  }
  if (!teacher && blockwise) {
    throw new ReallmError('bad-option', 'tuning block by block needs the original model as teacher')
  }
  const { vocabSize, hiddenSize, layers } = model.config
  const own = { vocabSize, ...((blockwise || hiddenWeight) && { hiddenSize, layers }) }
  for (const [key, value] of Object.entries(own)) {
    const other = teacher?.config[key as keyof typeof own]
    if (other !== undefined && other !== value) {
      throw new ReallmError('bad-option', `the teacher's ${key} is ${other}, the model's ${value}`, {
        hint: 'the teacher must be the model that was compressed',
      })
    }
  }
}

async function sequencesFor(options: FinetuneOptions): Promise<SplitSequences> {
  const { model, data, seed = 0, packing, validation, signal, onProgress } = options
  const source =
    typeof data === 'string'
      ? await openFileSource(data)
      : bytesSource(data.name, new TextEncoder().encode(data.contents))
  try {
    return await readSequences(source, await model.tokenizer(), {
      length: options.length ?? Math.min(256, model.config.maxPositions),
      seed,
      wanted: Math.max(sequencesSeen(options), options.blockwise ? blockwiseOf(options).sequences : 0),
      packing,
      validation,
      signal,
      onProgress,
    })
  } finally {
    await source.close()
  }
}

function blockwiseOf({ blockwise }: FinetuneOptions) {
  const { sequences = 64, ...numbers } = typeof blockwise === 'object' ? blockwise : {}
  return { sequences, numbers }
}

async function runBlockwise(
  options: FinetuneOptions,
  student: Student,
  { train, validation }: SplitSequences,
  fingerprint: Readonly<Record<string, unknown>>,
) {
  const { teacher, seed = 0, signal, onProgress, work } = options
  const { sequences, numbers } = blockwiseOf(options)
  return tuneBlockwise({
    ...numbers,
    rates: options.rates ?? RATES,
    signal,
    onProgress,
    student: student.model,
    teacher: teacher!,
    sequences: spread(train, sequences),
    validation: spread(validation, MOST_VALIDATION),
    plan: options,
    start: student.start,
    rowScales: student.rowScales,
    seed,
    fingerprint,
    work: work === undefined ? undefined : `${work}/activations`,
    checkpointOf: work === undefined ? undefined : i => fileStore(`${work}/block-${i}.safetensors`),
  })
}
