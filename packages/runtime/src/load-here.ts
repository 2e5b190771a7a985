import { type ModelFiles, ReallmError } from '@reallm/tensor-io'
import {
  type ModelWeights,
  openTokenizer,
  openWeights,
  type StoredMatrix,
  type TextTokenizer,
} from '@reallm/tensor-io/models'
import type { Backend } from './backend/backend.ts'
import { type Device, openBackend } from './backend/open-backend.ts'
import type { WeightForm } from './backend/weight.ts'
import { Decoder } from './decoder.ts'
import type { LoadOptions } from './load-options.ts'
import { loadWeights } from './load-weights.ts'
import { Model } from './model.ts'
import { type ModelLocation, openLocation } from './open.ts'

const DEFAULT_MEMORY = 2 ** 31

/** Bytes that a weight takes at most when it is expanded. */
function expandedBytes(stored: StoredMatrix | undefined): number {
  if (stored?.codec !== 'gguf') return 2 + 4 / 64
  // codes of 4 or 8 bits, and eight bytes of scales and offsets for 32 of them or four for 16
  return /^T?Q[134]/.test(stored.type ?? '') ? 0.75 : 1.25
}

/** Loads a model into this thread, see `load`. */
export async function loadHere(where: ModelLocation, options: LoadOptions): Promise<Model> {
  const { threads, weights, kvCache = weights === 'f32' ? 'f32' : 'int8' } = options
  const start = (device: Device | undefined) => openBackend({ device, threads, kvCache })
  // compiles, and starts its threads, while files are opened
  const starting = start(options.device)
  // told when it is needed, below
  starting.catch(() => {})
  const { source, reading } = await openSource(where, options).catch((error: unknown) => {
    starting.then(unused => unused[Symbol.dispose]()).catch(() => {})
    throw error
  })
  try {
    const run = async (started: Promise<Backend>) => {
      const backend = await started
      try {
        const form = formFor(source, backend, options)
        // weights are read while the tokenizer is made
        const [loaded, tokenizer] = await Promise.all([
          loadWeights(backend, source, { ...options, form }),
          reading,
        ])
        return new Model({ decoder: await Decoder.create(backend, source.config, loaded), form, tokenizer })
      } catch (error) {
        backend[Symbol.dispose]()
        throw error
      }
    }
    return await run(starting).catch((error: unknown) => {
      if (options.device === 'auto' && error instanceof ReallmError && error.code === 'unsupported')
        return run(start('wasm'))
      throw error
    })
  } finally {
    await source.close()
  }
}

/** Opens the weights of a model; its tokenizer is made while requests are under way. */
async function openSource(where: ModelLocation, options: LoadOptions) {
  const files = await openLocation(where, options)
  const reading = tokenizerFor(files, options)
  // told when it is needed
  reading.catch(() => {})
  const source = await openWeights(files, options).catch(async (error: unknown) => {
    await files.close()
    throw error
  })
  return { source, reading }
}

async function tokenizerFor(files: ModelFiles, options: LoadOptions): Promise<TextTokenizer | undefined> {
  if (options.tokenizer !== undefined) return options.tokenizer || undefined
  return openTokenizer(files, options).catch((error: unknown) => {
    if (error instanceof ReallmError && error.code === 'not-found') return undefined
    throw error
  })
}

/** The wanted form, or the quickest that fits. */
function formFor(
  { config, shapes, files, stored }: ModelWeights,
  backend: Backend,
  { weights, maxMemory = DEFAULT_MEMORY }: LoadOptions,
): WeightForm {
  const { name, forms } = backend
  if (weights !== undefined && !forms.includes(weights)) {
    throw new ReallmError('bad-option', `${name} does not hold weights as ${weights}`, {
      hint: `use ${forms.join(', ')}`,
    })
  }
  if (weights !== undefined) return weights
  let [count, expanded, packed] = [0, 0, false]
  for (const [name, shape] of shapes) {
    const size = shape.length === 2 ? shape[0] * shape[1] : 0
    const matrix = stored(name)
    count += size
    expanded += expandedBytes(matrix) * size
    packed ||= matrix !== undefined && backend.runs(matrix)
  }
  const bytes: Readonly<Record<WeightForm, number>> = {
    f32: 4 * count,
    expanded,
    int8: 1.0625 * count,
    packed: packed ? 0 : Number.POSITIVE_INFINITY,
  }
  const form = forms.find(form => bytes[form] <= maxMemory)
  if (form) return form
  const size = Math.ceil(Math.min(...forms.map(form => bytes[form])) / 2 ** 20)
  throw new ReallmError('bad-option', `${files.spec}: ${config.family.modelType} weights need ${size} MiB`, {
    hint: 'compress the model (reallm compress); in code, load takes more maxMemory',
  })
}
