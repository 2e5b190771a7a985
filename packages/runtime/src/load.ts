import { type LongWork, ReallmError, type Registry } from '@reallm/tensor-io'
import { type ModelWeights, openWeights, type TextTokenizer } from '@reallm/tensor-io/models'
import type { Backend } from './backend/backend.ts'
import { type Device, openBackend } from './backend/open-backend.ts'
import type { WeightForm } from './backend/weight.ts'
import { Decoder } from './decoder.ts'
import { loadWeights } from './load-weights.ts'
import { Model } from './model.ts'
import { type ModelLocation, openLocation } from './open.ts'

/** Options of `load`. */
export interface LoadOptions extends LongWork {
  /** What it runs on, see {@link Device}. Default `wasm`. */
  readonly device?: Device | undefined
  /**
   * How matrices are held, see {@link WeightForm}. Default: GGUF's blocks as they are stored, everything else in the quickest form
   * that `maxMemory` allows.
   */
  readonly weights?: WeightForm | undefined
  /**
   * How keys and values are held: `int8` takes a quarter of the memory of `f32` on `wasm`, half of it (floats of 16 bits) on
   * `webgpu`, and is faster in long texts. Default `int8`, and `f32` with `weights: 'f32'`.
   */
  readonly kvCache?: 'f32' | 'int8' | undefined
  /** Bytes that weights may take; default 2 GiB, of the 4 GiB that WebAssembly can address. */
  readonly maxMemory?: number | undefined
  /** Threads in all; default 1. Fewer start where memory cannot be shared (pages that are not cross-origin isolated). */
  readonly threads?: number | undefined
  /**
   * Whether a page keeps what it fetched, checked by SHA-256 when it is read again; a text names the cache. Default
   * true; without effect outside of pages.
   */
  readonly cache?: boolean | string | undefined
  /**
   * Where `npm:` packages are served: `https://cdn.jsdelivr.net/npm/` or any other CDN; in a page it may be relative to it.
   * In Node they are looked for in `node_modules` without it.
   */
  readonly base?: string | undefined
  /** Names of the files in a directory behind a URL, see `openModel`; artifacts list theirs. */
  readonly files?: readonly string[] | undefined
  /**
   * Loads only what `reallm pack --sign` signed with the private key of this one: Ed25519, in PEM or base64. All that is
   * read is compared with the signature.
   */
  readonly publicKey?: string | undefined
  /** `false` leaves it out: prompts are token ids then. Default: the model's own. */
  readonly tokenizer?: TextTokenizer | false | undefined
  /** For codecs that this package cannot run by itself. */
  readonly registry?: Registry | undefined
}

const DEFAULT_MEMORY = 2 ** 31

/**
 * Loads a model to run: an artifact, or plain weights of a Hugging Face directory or GGUF file. Weights are read one
 * matrix after the other; `onProgress` hears of `bytes-read`, of all bytes of the weights, and `warning`.
 *
 * @throws `not-found`, `bad-file`, `unsupported` as `openModel` does, and where there is no GPU to run on; `aborted`
 * @example
 * const model = await load('out')
 * console.log(await model.generate('The capital of France is', { maxTokens: 8 }).text())
 */
export async function load(where: ModelLocation, options: LoadOptions = {}): Promise<Model> {
  const files = await openLocation(where, options)
  try {
    const source = await openWeights(files, options)
    const tokenizer = await tokenizerFor(source, options.tokenizer)
    const start = async (device: Device | undefined) => {
      const { threads, weights, kvCache = weights === 'f32' ? 'f32' : 'int8' } = options
      const backend = await openBackend({ device, threads, kvCache })
      try {
        const form = formFor(source, backend, options)
        const loaded = await loadWeights(backend, source, { ...options, form })
        return new Model({ decoder: await Decoder.create(backend, source.config, loaded), form, tokenizer })
      } catch (error) {
        backend[Symbol.dispose]()
        throw error
      }
    }
    return await start(options.device).catch((error: unknown) => {
      if (options.device === 'auto' && error instanceof ReallmError && error.code === 'unsupported')
        return start('wasm')
      throw error
    })
  } finally {
    await files.close()
  }
}

async function tokenizerFor(
  source: ModelWeights,
  given: TextTokenizer | false | undefined,
): Promise<TextTokenizer | undefined> {
  if (given !== undefined) return given || undefined
  return source.tokenizer().catch((error: unknown) => {
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
  let [count, packed, inBlocks] = [0, false, false]
  for (const [name, shape] of shapes) {
    if (shape.length === 2) count += shape[0] * shape[1]
    const matrix = stored(name)
    if (!matrix || !backend.runs(matrix)) continue
    packed = true
    inBlocks ||= matrix.codec === 'gguf'
  }
  const scales = 1 + 4 / 64 / 2
  const bytes: Readonly<Record<WeightForm, number>> = {
    f32: 4 * count,
    expanded: 2 * scales * count,
    int8: 1.0625 * count,
    packed: packed ? 0 : Number.POSITIVE_INFINITY,
  }
  // blocks are nearly as quick as what they expand to
  if (inBlocks && forms.includes('packed')) return 'packed'
  const form = forms.find(form => bytes[form] <= maxMemory)
  if (form) return form
  const size = Math.ceil(Math.min(...forms.map(form => bytes[form])) / 2 ** 20)
  throw new ReallmError('bad-option', `${files.spec}: ${config.family.modelType} weights need ${size} MiB`, {
    hint: 'compress the model (reallm compress), or pass load more maxMemory',
  })
}
