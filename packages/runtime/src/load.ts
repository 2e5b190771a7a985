import {
  blobSource,
  type LongWork,
  type ModelFiles,
  openFiles,
  openModel,
  type Registry,
} from '@reallm/tensor-io'
import { openWeights } from '@reallm/tensor-io/decoder'
import { openTokenizer, type TextTokenizer } from '@reallm/tensor-io/tokenizer'
import { Engine } from './engine.ts'
import { loadWeights, type WeightForm } from './load-weights.ts'
import { Model } from './model.ts'

export interface LoadOptions extends LongWork {
  /**
   * How matrices are held. `expanded`: one byte per weight, fastest. `packed`: as an artifact stores them, decoded at
   * each use, smallest. `f32`: exactly. Default: `expanded` when that takes less than `maxMemory`, else `packed`.
   */
  readonly weights?: WeightForm
  /** Threads in all; default 1. Fewer start where memory cannot be shared. */
  readonly threads?: number
  /** `false` leaves it out: prompts are token ids then. Default: the model's own, if its packages are installed. */
  readonly tokenizer?: TextTokenizer | false
  /** For codecs that this package does not know. */
  readonly registry?: Registry
}

/** Where a model is: a path, `npm:` name, URL, the files a visitor chose, or an open model. */
export type ModelLocation = string | URL | Blob | Iterable<File> | ModelFiles

/**
 * Loads a model to run: an artifact, or plain weights of a Hugging Face directory or GGUF file.
 *
 * @throws `not-found`, `bad-file`, `unsupported` as `openModel` does; `aborted`
 * @example
 * const model = await load('out')
 * console.log(await model.generate('The capital of France is', { maxTokens: 8 }).text())
 */
export async function load(where: ModelLocation, options: LoadOptions = {}): Promise<Model> {
  const files = await open(where, options)
  const source = await openWeights(files, options)
  const tokenizer =
    options.tokenizer === undefined ? await openTokenizer(files) : options.tokenizer || undefined
  const engine = await Engine.start(options.threads === undefined ? {} : { threads: options.threads })
  const form = options.weights ?? 'expanded'
  const weights = await loadWeights(engine, source, { ...options, form })
  await files.close()
  return new Model({ engine, config: source.config, weights, form, tokenizer })
}

async function open(where: ModelLocation, options: LoadOptions): Promise<ModelFiles> {
  if (typeof where === 'string' || where instanceof URL) return openModel(String(where), options)
  if (where instanceof Blob) return openFiles([named(where)], options)
  if (Symbol.iterator in where) return openFiles([...where].map(named), options)
  return where
}

function named(blob: Blob) {
  const name = 'name' in blob ? String(blob.name) : 'model.gguf'
  return { name, source: blobSource(name, blob) }
}
