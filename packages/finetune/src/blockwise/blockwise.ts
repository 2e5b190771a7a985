import {
  breather,
  type CheckpointStore,
  checkUnchanged,
  decodeCheckpoint,
  encodeCheckpoint,
  type LongWork,
  type Tensor,
} from '@reallm/tensor-io'
import {
  loadBlock,
  loadEmbeddingsAndHead,
  type ModelWeights,
  streamWidth,
  type TfTensor,
  tf,
} from '@reallm/transformer'
import { type AdamWOptions, assign, toTensor } from '@reallm/transformer/adamw'
import type { Sequence } from '../batches.ts'
import { tunedBlock } from '../lowrank/forward.ts'
import { describePlan, type LowRankPlan } from '../lowrank/plan.ts'
import { type Factors, type Trainable, trainable } from '../lowrank/trainable.ts'
import {
  advance,
  createSequenceStates,
  embedSequences,
  plainBlock,
  type SequenceStates,
} from './hidden-states.ts'
import { type MatchResult, matchBlock } from './match-block.ts'

/** Options of block-wise fine-tuning. */
export interface BlockwiseOptions extends LongWork, AdamWOptions {
  /** The compressed model; its weights stay as they are. */
  readonly student: ModelWeights
  /** The original. */
  readonly teacher: ModelWeights
  readonly sequences: readonly Sequence[]
  /** Sequences that decide when to stop; not trained on. */
  readonly validation: readonly Sequence[]
  readonly plan: LowRankPlan
  readonly start?: ReadonlyMap<string, Factors> | undefined
  /** Row factors to start from, by module. */
  readonly rowScales?: ReadonlyMap<string, Float32Array> | undefined
  readonly seed: number
  /** Most steps per block; default 100. */
  readonly steps?: number | undefined
  /** Sequences per step; default 4. */
  readonly rows?: number | undefined
  /** Default 1e-3. */
  readonly learningRate?: number | undefined
  /** Validations without a new best until a block is done; there is one every 10 steps. Default 3. */
  readonly patience?: number | undefined
  /** Where block `i`'s result is kept, so that a stopped run resumes after the last finished block. */
  readonly checkpointOf?: ((block: number) => CheckpointStore) | undefined
  readonly fingerprint?: Readonly<Record<string, unknown>> | undefined
  /** Directory for activations that exceed `maxMemory` bytes (default 1 GB); without it they stay in memory. */
  readonly work?: string | undefined
  readonly maxMemory?: number | undefined
}

/** Errors of a block before and after its training. */
export interface BlockReport extends MatchResult {
  readonly block: number
}

/** What block-wise fine-tuning has learnt. */
export interface BlockwiseResult {
  /** Values of all trained parameters, by the names of `trainable`. */
  readonly parameters: ReadonlyMap<string, Tensor<'F32'>>
  readonly blocks: readonly BlockReport[]
}

/**
 * Block-wise fine-tuning (ReALLM §3.2): a block's inputs are the outputs of the compressed, already trained blocks before it,
 * its targets the original model's hidden states after the same block. Memory holds one block of each model and two hidden
 * states per token, which go to disk where they are large. Progress: `block-end` (error = relative error on the
 * validation sequences).
 */
export async function tuneBlockwise(options: BlockwiseOptions): Promise<BlockwiseResult> {
  const { student, teacher, work, onProgress } = options
  const { config } = student
  const sequences = [...options.sequences, ...options.validation].map(({ ids }) => ({ ids }))
  const tokens = sequences.reduce((sum, { ids }) => sum + ids.length - 1, 0)
  const isLarge = 2 * 4 * tokens * streamWidth(config) > (options.maxMemory ?? 1e9)
  const folder = (name: string) => (isLarge && work !== undefined ? `${work}/${name}` : undefined)
  const inputs = await embedded(student, sequences, folder('inputs'))
  const targets = await embedded(teacher, sequences, folder('targets'))
  const parameters = new Map<string, Tensor<'F32'>>()
  const blocks: BlockReport[] = []
  const started = performance.now()
  const breathe = breather(options)

  for (let i = 0; i < config.layers; i++) {
    await breathe()
    const original = await loadBlock(teacher, i)
    await advance(config, targets, plainBlock(config, original, i))
    tf.dispose(original)

    const base = await loadBlock(student, i)
    const parts = trainable(config, base, options.plan, options.seed, {
      start: options.start,
      rowScales: options.rowScales,
      only: i,
    })
    try {
      const run = (x: TfTensor) => tunedBlock(config, base, parts, i, x)
      const report = await tuneBlock(options, i, parts, run, sequences, inputs, targets)
      blocks.push(report)
      for (const [name, p] of parts.parameters) parameters.set(name, await toTensor(p))
      await advance(config, inputs, run)
      const done = i + 1
      const eta = ((performance.now() - started) / 1000 / done) * (config.layers - done)
      onProgress?.({
        event: 'block-end',
        name: `model.layers.${i}`,
        done,
        total: config.layers,
        error: report.after,
        eta,
      })
    } finally {
      parts.dispose()
      tf.dispose(base)
    }
  }
  return { parameters, blocks }
}

async function embedded(
  model: ModelWeights,
  sequences: readonly Sequence[],
  directory: string | undefined,
): Promise<SequenceStates> {
  const states = createSequenceStates(sequences.length, directory)
  const weights = await loadEmbeddingsAndHead(model)
  await embedSequences(model.config, weights, sequences, states)
  tf.dispose(weights)
  return states
}

/** Trains one block's parts, or takes them from its checkpoint. */
async function tuneBlock(
  options: BlockwiseOptions,
  i: number,
  parts: Trainable,
  run: (x: TfTensor) => TfTensor,
  sequences: readonly Sequence[],
  inputs: SequenceStates,
  targets: SequenceStates,
): Promise<BlockReport> {
  const { steps = 100, rows = 4, learningRate = 1e-3, patience = 3, seed, signal, rates } = options
  const { config } = options.student
  const fixed = {
    ...options.fingerprint,
    block: i,
    steps,
    rows,
    learningRate,
    rates,
    patience,
    seed,
    plan: describePlan(config, options.plan),
  }
  const store = options.checkpointOf?.(i)
  const finished = await store?.load()
  if (finished) {
    const { options: before, tensors, notes } = await decodeCheckpoint(finished)
    checkUnchanged(before, fixed)
    for (const [name, p] of parts.parameters) assign(p, tensors, name)
    return notes.report as BlockReport
  }

  const matched = await matchBlock({
    ...{ config, sequences, inputs, targets, run, steps, rows, learningRate, patience, seed },
    parameters: parts.parameters,
    trained: options.sequences.length,
    signal,
    rates,
  })
  const report = { block: i, ...matched }
  const tensors = new Map<string, Tensor<'F32'>>()
  for (const [name, p] of parts.parameters) tensors.set(name, await toTensor(p))
  await store?.save(encodeCheckpoint({ step: steps, options: fixed, tensors, notes: { report } }))
  return report
}
