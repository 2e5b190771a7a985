import { checkOptions, type Options } from './check-options.ts'
import { loadHere } from './load-here.ts'
import type { LoadOptions, WorkerLoadOptions } from './load-options.ts'
import type { Model } from './model.ts'
import type { ModelLocation } from './open.ts'
import type { WorkerModel } from './worker/worker-model.ts'

const loadOptions: Options<LoadOptions> = {
  device: 'string',
  weights: 'string',
  kvCache: 'string',
  maxMemory: 'number',
  threads: 'number',
  cache: 'boolean|string',
  base: 'string',
  files: 'list',
  publicKey: 'string',
  tokenizer: 'boolean|object',
  registry: 'object',
  worker: 'boolean|object',
  signal: 'object',
  onProgress: 'function',
}

/**
 * Loads a model to run: an artifact, or plain weights of a Hugging Face directory or GGUF file. Weights are read one
 * matrix after the other; `onProgress` hears of `bytes-read`, of all bytes of the weights, and `warning`. With `worker` it lives in a
 * Worker, and this thread stays free.
 *
 * @throws `not-found`, `bad-file`, `unsupported` as `openModel` does, and where there is no GPU to run on; `aborted`; `bad-option`
 * @example
 * const model = await load('out')
 * console.log(await model.generate('The capital of France is', { maxTokens: 8 }).text())
 */
export function load(where: ModelLocation, options: WorkerLoadOptions): Promise<WorkerModel>
export function load(where: ModelLocation, options?: LoadOptions): Promise<Model>
export async function load(
  where: ModelLocation,
  options: LoadOptions | WorkerLoadOptions = {},
): Promise<Model | WorkerModel> {
  checkOptions('load', options, loadOptions)
  if (!options.worker) return loadHere(where, options)
  const { loadInWorker } = await import('./worker/worker-model.ts')
  return loadInWorker(where, options)
}
