import { errorAt, type LongWork, ReallmError, throwIfAborted } from '@reallm/tensor-io'
import {
  linearModules,
  type ModelWeights,
  mixerParameters,
  type Norm,
  normsOf,
} from '@reallm/tensor-io/models'
import type { Backend } from './backend/backend.ts'
import type { Described, Vector, Weight, WeightForm, WeightSource } from './backend/weight.ts'
import type { DecoderWeights, LoadedModule } from './weights.ts'

/** Matrices of up to so many floats are read at once, and so many floats before they are wanted. */
const READ_WHOLE = 1 << 24

export interface LoadWeightsOptions extends LongWork {
  readonly form: WeightForm
}

/** Reads all weights of a model to a backend, one matrix after the other. */
export async function loadWeights(
  backend: Backend,
  model: ModelWeights,
  { signal, onProgress, form }: LoadWeightsOptions,
): Promise<DecoderWeights> {
  const { config } = model
  const total = model.names.reduce((sum, name) => sum + model.bytesOf(name), 0)
  let done = 0
  const read = (name: string) => {
    done += model.bytesOf(name)
    onProgress?.({ event: 'bytes-read', name, done, total })
  }

  async function vector(name: string, offset = 0): Promise<Vector> {
    throwIfAborted(signal)
    const { data } = await model.read(name)
    read(name)
    return backend.vector(offset === 0 ? data : data.map(w => w + offset))
  }

  async function matrix(name: string, rows: number, cols: number, held = form): Promise<Weight> {
    throwIfAborted(signal)
    if (cols % 4 !== 0) {
      throw new ReallmError('unsupported', `${name} [${rows}×${cols}]: its width is not a multiple of 4`)
    }
    const begun = ahead[0]?.name === name ? ahead.shift() : undefined
    if (begun) floatsAhead -= rows * cols
    const source = await (begun?.source ?? sourceOf(name, rows, cols))
    readAhead()
    const weight = await backend.weight(source, held).catch((cause: unknown) => {
      throw source.kind === 'stored'
        ? errorAt(`${model.files.spec}: ${name.replace(/\.weight$/, '')}`, cause)
        : cause
    })
    read(name)
    return weight
  }

  /** Begins to read the next matrices of the layers, one after the other: they come while this thread expands those before. */
  function readAhead(): void {
    while (upcoming.length > 0 && floatsAhead < READ_WHOLE) {
      const { name: module, shape } = upcoming.shift()!
      const name = `${module}.weight`
      const read = () => {
        throwIfAborted(signal)
        return sourceOf(name, ...shape)
      }
      const source = ahead.at(-1)?.source.then(read) ?? read()
      // whoever asks for it hears of failures
      source.catch(() => {})
      ahead.push({ name, source })
      floatsAhead += shape[0] * shape[1]
    }
  }

  async function sourceOf(name: string, rows: number, cols: number): Promise<WeightSource> {
    const stored = model.stored(name)
    if (stored && backend.runs(stored)) return { kind: 'stored', stored: await stored.read() }
    if (stored && model.files.artifact && !model.files.tensors.has(name)) {
      throw new ReallmError(
        'unsupported',
        `${name.replace(/\.weight$/, '')}: the codec ${codecsOf(stored)} cannot be run by itself`,
        { hint: 'pass load a registry that has it' },
      )
    }
    const whole = rows * cols <= READ_WHOLE ? (await model.read(name)).data : undefined
    return {
      kind: 'floats',
      shape: [rows, cols],
      async read(from, to) {
        throwIfAborted(signal)
        return whole?.subarray(from * cols, to * cols) ?? (await model.read(name, [from, to])).data
      },
    }
  }

  const { hiddenSize, vocabSize, tiedHead, norm, perLayerInputs } = config
  const upcoming = config.layerSpecs.flatMap((_, i) => linearModules(config, i))
  /** Matrices that are being read. */
  const ahead: { readonly name: string; readonly source: Promise<WeightSource> }[] = []
  let floatsAhead = 0
  readAhead()
  const embedding = await matrix('model.embed_tokens.weight', vocabSize, hiddenSize)
  const modules = new Map<string, LoadedModule>()
  const routers = new Map<string, LoadedModule>()
  const norms = new Map<string, Vector>()
  const parameters = new Map<string, Vector>()
  const addNorm = async ({ name, offset }: Norm) => {
    norms.set(name, await vector(`${name}.weight`, offset))
  }
  for (const [i, spec] of config.layerSpecs.entries()) {
    for (const { name, shape, bias } of linearModules(config, i)) {
      const weight = await matrix(`${name}.weight`, ...shape)
      modules.set(name, { weight, bias: bias ? await vector(`${name}.bias`) : undefined })
    }
    if (spec.ffn.kind === 'experts') {
      const { name, shape, bias } = spec.ffn.router
      const weight = await matrix(`${name}.weight`, ...shape, 'f32')
      routers.set(name, { weight, bias: bias ? await vector(`${name}.bias`) : undefined })
    }
    for (const norm of normsOf(spec)) await addNorm(norm)
    const ofLayer = spec.scales.layer ? [spec.scales.layer] : []
    for (const { name } of [...mixerParameters(spec.mixer), ...ofLayer])
      parameters.set(name, await vector(name))
  }
  let perLayerTable: Weight | undefined
  if (perLayerInputs) {
    const { table, projection, norm } = perLayerInputs
    const [rows, cols] = table.shape
    perLayerTable = await matrix(table.name, rows, cols)
    const weight = await matrix(`${projection.name}.weight`, ...projection.shape)
    modules.set(projection.name, { weight, bias: undefined })
    await addNorm(norm)
  }
  await addNorm(norm)
  const head = tiedHead ? embedding : await matrix('lm_head.weight', vocabSize, hiddenSize)
  return { embedding, head, modules, perLayerTable, routers, norms, parameters }
}

const codecsOf = (e: Described): string => (e.inner ? `${e.codec} of ${codecsOf(e.inner)}` : e.codec)
