import { bytesText, type ModelFiles, ReallmError } from '@reallm/tensor-io'
import { type ActiveBackend, type BackendName, useBackend } from '@reallm/transformer'
import { availableParallelism } from '#platform'
import { allocateBits } from './allocate/allocate-bits.ts'
import type { Budget } from './allocate/budget.ts'
import { type ConfigurationTable, listConfigurations } from './allocate/configuration-table.ts'
import { calibrationSequences, readCalibration } from './calibrate/calibration-text.ts'
import { type Importance, openImportance } from './calibrate/importance.ts'
import type { Sequences } from './calibrate/sequences.ts'
import type { Encoder } from './encoder/encode-job.ts'
import { type EncoderOptions, openEncoder } from './encoder/encoder.ts'
import { type SharedDecoders, sharedDecoders } from './encoder/shared-decoders.ts'
import { helperThreads } from './helper-threads.ts'
import { type OpenedModel, openModel } from './open/open-model.ts'
import { openTarget } from './output/open-target.ts'
import type { Target } from './output/target.ts'
import { leastMemory, type MemoryPlan, planMemory, usualMemory } from './plan-memory.ts'
import type { Own } from './scoped.ts'
import { predictSensitivity } from './sensitivity/predict-sensitivity.ts'
import { type RecipeOptions, type Settings, settingsOf } from './settings.ts'

export interface StartOptions extends RecipeOptions, EncoderOptions {
  /** Text file to calibrate on, or JSON rows of token ids; several have equal shares. Default: a built-in English text. */
  readonly calibration?: string | readonly string[] | undefined
  /**
   * An importance matrix of llama.cpp (GGUF or `.dat`) to round by, instead of calibrating on a text; sensitivities are then
   * relative errors of outputs.
   */
  readonly imatrix?: string | undefined
  /** A LoRA, rsLoRA or DoRA adapter (PEFT layout) to merge into the weights first. */
  readonly adapter?: string | undefined
  readonly backend?: BackendName | undefined
  /**
   * Memory to keep to, in bytes; activations beyond an eighth of it go to disk. Default 2 GB, or what one matrix at a time takes
   * where that is more.
   */
  readonly maxMemory?: number | undefined
  /** Bytes of a file at most; default: half a gigabyte, or a quarter of the memory if less, of an artifact, all of a GGUF. */
  readonly shardSize?: number | undefined
}

/** What compressing and planning begin with. */
export interface Start {
  readonly settings: Settings
  readonly model: OpenedModel
  readonly target: Target
  readonly table: ConfigurationTable
  readonly backend: ActiveBackend
  readonly memory: MemoryPlan
  /** What is calibrated and evaluated on; with an importance matrix, evaluated alone. */
  readonly sequences: Sequences
  readonly importance: Importance | undefined
  readonly encoder: Encoder
  readonly decoders: SharedDecoders
}

/**
 * Opens a model with everything that planning needs.
 *
 * @param budget refused before any long work when it cannot be reached
 */
export async function start(
  own: Own,
  source: string | ModelFiles,
  options: StartOptions,
  budget?: Budget,
): Promise<Start> {
  const settings = settingsOf(options)
  if (options.imatrix !== undefined && options.calibration !== undefined) {
    throw new ReallmError('bad-option', 'an importance matrix takes the place of a calibration text', {
      hint: 'give one of both: --imatrix or --calib',
    })
  }
  const { maxMemory = usualMemory } = options
  if (!(maxMemory >= leastMemory)) {
    throw new ReallmError('bad-option', `${bytesText(maxMemory)} of memory are too few`, {
      hint: `give at least ${bytesText(leastMemory)}; a shard takes a quarter`,
    })
  }
  const calibration = await readCalibration(options.calibration)
  const model = own(await openModel(source, settings, options.adapter))
  const target = await openTarget(model, settings, shardSizeOf(options, maxMemory))
  const table = listConfigurations(model.parts, target, settings)
  if (budget) allocateBits(table, predictSensitivity(model, settings), budget)
  const importance =
    options.imatrix === undefined ? undefined : await openImportance(options.imatrix, model, settings.recipe)
  const backend = await useBackend(options.backend)
  const { queue, threads = availableParallelism() } = options
  own(await helperThreads(Math.max(1, threads)))
  const memory = planMemory(model, settings, queue ? 0 : Math.max(1, threads), options.maxMemory)
  const sequences = await calibrationSequences(model, calibration, settings)
  const encoder = own(
    await openEncoder(settings.recipe, {
      ...options,
      threads: queue ? undefined : Math.min(threads, memory.threads),
    }),
  )
  return {
    ...{ settings, model, target, table, backend, memory, sequences, importance, encoder },
    decoders: sharedDecoders(model, settings),
  }
}

/** Shards of an artifact are held in memory, parts of a GGUF are not. */
const shardSizeOf = ({ target, shardSize }: StartOptions, maxMemory: number) =>
  shardSize ?? (target === 'gguf' ? undefined : Math.min(2 ** 29, maxMemory / 4))
