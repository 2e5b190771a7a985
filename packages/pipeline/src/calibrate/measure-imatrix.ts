import { type ModelFiles, ReallmError, throwIfAborted } from '@reallm/tensor-io'
import type { InputSquares } from '@reallm/tensor-io/imatrix'
import { type BackendName, loadBlock, loadTensors, sublayers, tf, useBackend } from '@reallm/transformer'
import { availableParallelism, basename, join } from '#platform'
import { helperThreads } from '../helper-threads.ts'
import { type OpenedModel, openModel } from '../open/open-model.ts'
import type { DestinationOptions } from '../output/destination.ts'
import { writeOutput } from '../output/write-output.ts'
import type { Effort } from '../recipes/recipe.ts'
import { scoped } from '../scoped.ts'
import { type RecipeOptions, settingsOf } from '../settings.ts'
import { memoryScratch } from './activations.ts'
import { calibrationSequences, readCalibration } from './calibration-text.ts'
import { headInput, runSublayer } from './forward.ts'
import { batchesOf, embeddingRows, embedSequences } from './hidden-states.ts'
import { inputSquares } from './input-squares.ts'
import type { Sequences } from './sequences.ts'

/** Options of measuring an importance matrix. */
export interface ImatrixOptions extends Pick<RecipeOptions, 'seed' | 'signal' | 'onProgress'> {
  /** The file to write, `.gguf`. */
  readonly to: string
  /** Text file to measure on, or JSON rows of token ids; several have equal shares. Default: a built-in English text. */
  readonly calibration?: string | readonly string[] | undefined
  /** How much text. Default `normal`. */
  readonly effort?: Effort | undefined
  readonly backend?: BackendName | undefined
  readonly force?: DestinationOptions['force']
}

/**
 * Measures the mean squares of every matrix's inputs on a text and writes them as llama.cpp does: `llama-quantize --imatrix` reads
 * the file. One layer and the activations are in memory.
 *
 * @returns how many tensors it tells of, and of how many tokens
 * @throws what `openWeights` refuses; `unsupported` for a family that GGUF has no names for; `aborted`
 * @example
 * await measureImatrix('model', { to: 'model.imatrix.gguf' })
 */
export const measureImatrix = (
  source: string | ModelFiles,
  { to, calibration, force, ...options }: ImatrixOptions,
): Promise<{ readonly tensors: number; readonly tokens: number }> =>
  scoped(async own => {
    if (!to.endsWith('.gguf'))
      throw new ReallmError('bad-option', `${to} is no name of a GGUF file`, { hint: 'name it ….gguf' })
    const settings = settingsOf({ ...options, target: 'gguf' })
    const inputs = { model: typeof source === 'string' ? source : undefined, calibration }
    const output = { program: 'reallm imatrix', inputs, force, file: {} }
    return writeOutput(to, output, async (folder, place) => {
      const text = await readCalibration(calibration)
      const model = own(await openModel(source, settings))
      await useBackend(options.backend)
      own(await helperThreads(availableParallelism()))
      const sequences = await calibrationSequences(model, text, settings)
      const tensors = await measureInputs(model, sequences, settings)
      const { writeImatrix } = await import('@reallm/tensor-io/imatrix')
      await writeImatrix(join(folder, basename(place)), {
        tensors,
        datasets: [sequences.source],
        chunks: sequences.calibration.length,
        chunkSize: sequences.length,
      })
      return { tensors: tensors.size, tokens: sequences.calibration.length * sequences.length }
    })
  })

/** Squares of inputs by llama.cpp's names, of all matrices of the layers and of the head. */
async function measureInputs(
  { config, weights, parts }: OpenedModel,
  sequences: Sequences,
  { signal, onProgress }: Pick<RecipeOptions, 'signal' | 'onProgress'>,
): Promise<ReadonlyMap<string, InputSquares>> {
  const found = inputSquares(config, parts)
  const rows = await embeddingRows(weights, sequences.calibration)
  const pass = await embedSequences(weights, rows, batchesOf(sequences.calibration), memoryScratch)
  for (let i = 0; i < config.layers; i++) {
    const layer = await loadBlock(weights, i)
    for (const sublayer of sublayers(config, i)) {
      await pass.advance(x => {
        throwIfAborted(signal)
        return runSublayer(config, layer, sublayer, x, {
          onInput: found.add,
        })
      })
    }
    tf.dispose(layer)
    onProgress?.({ event: 'calibration-end', name: `layer ${i}`, done: i + 1, total: config.layers })
  }
  const norm = await loadTensors(weights, [`${config.norm.name}.weight`])
  for (let b = 0; b < pass.batches; b++) {
    const x = headInput(config, norm, await pass.get(b))
    found.add(config.tiedHead ? 'model.embed_tokens' : 'lm_head', x)
    x.dispose()
  }
  tf.dispose(norm)
  await pass.close()
  return found.means()
}
