import type { Pointer } from '@reallm/kernels/inference'
import { type EncodedMatrix, errorAt, type LongWork, ReallmError, throwIfAborted } from '@reallm/tensor-io'
import { linearModules, type ModelWeights, type Norm, normsOf } from '@reallm/tensor-io/models'
import type { Engine } from './engine.ts'
import { encodedLinear, isKnown } from './linear/encoded.ts'
import { floatWriter } from './linear/float.ts'
import { integerWriter } from './linear/integer.ts'
import type { Linear } from './linear/linear.ts'
import type { DecoderWeights, LoadedModule } from './weights.ts'

/**
 * How matrices are held: `packed` as they are stored, decoded whenever they are used; `expanded` to two bytes per
 * weight, fastest to use and within 1 % of exact logits; `int8` to one byte per weight, coarser; `f32` exactly.
 */
export type WeightForm = 'packed' | 'expanded' | 'int8' | 'f32'

/** Floats of a matrix that are in memory at a time while it is read. */
const STAGED_FLOATS = 1 << 20
/** Matrices of up to so many floats are read at once. */
const READ_WHOLE = 1 << 24

export interface LoadWeightsOptions extends LongWork {
  readonly form: WeightForm
}

/** Reads all weights of a model into an engine, one matrix after the other and each a few rows at a time. */
export async function loadWeights(
  engine: Engine,
  model: ModelWeights,
  options: LoadWeightsOptions,
): Promise<DecoderWeights> {
  const { config } = model
  const { signal, onProgress, form } = options
  const { arena } = engine
  const staging = engine.allocateFloats(STAGED_FLOATS)
  const total = model.names.reduce((sum, name) => sum + model.bytesOf(name), 0)
  let done = 0
  const read = (name: string) => {
    done += model.bytesOf(name)
    onProgress?.({ event: 'bytes-read', name, done, total })
  }

  async function vector(name: string, offset = 0): Promise<Pointer> {
    throwIfAborted(signal)
    const { data } = await model.read(name)
    read(name)
    return engine.upload(offset === 0 ? data : data.map(w => w + offset))
  }

  const writer = (rows: number, cols: number) =>
    form === 'f32'
      ? floatWriter(engine, rows, cols)
      : integerWriter(engine, rows, cols, form === 'int8' ? 1 : 2)
  const encodedForm = form === 'packed' ? 'packed' : form === 'f32' ? 'written' : 'exact'

  async function matrix(name: string, rows: number, cols: number): Promise<Linear> {
    throwIfAborted(signal)
    if (cols % 4 !== 0) {
      throw new ReallmError('unsupported', `${name} [${rows}×${cols}]: its width is not a multiple of 4`)
    }
    const module = name.replace(/\.weight$/, '')
    const stored = model.files.artifact?.modules.get(module)
    if (stored && !isKnown(stored) && !model.files.tensors.has(name)) {
      throw new ReallmError(
        'unsupported',
        `${module}: the codec ${codecsOf(stored)} cannot be run by itself`,
        {
          hint: 'pass load a registry that has it',
        },
      )
    }
    const linear =
      stored && isKnown(stored)
        ? await storedMatrix(module, await model.files.artifact!.readEncoded(module))
        : await plainMatrix(name, rows, cols)
    read(name)
    return linear
  }

  async function storedMatrix(module: string, stored: EncodedMatrix): Promise<Linear> {
    try {
      return await encodedLinear(engine, stored, { form: encodedForm, writer })
    } catch (cause) {
      throw errorAt(`${model.files.spec}: ${module}`, cause)
    }
  }

  async function plainMatrix(name: string, rows: number, cols: number): Promise<Linear> {
    const out = writer(rows, cols)
    const step = Math.max(1, Math.floor(STAGED_FLOATS / cols))
    const whole = rows * cols <= READ_WHOLE ? (await model.read(name)).data : undefined
    for (let from = 0; from < rows; from += step) {
      throwIfAborted(signal)
      const to = Math.min(rows, from + step)
      const data = whole?.subarray(from * cols, to * cols) ?? (await model.read(name, [from, to])).data
      arena.floats(staging, data.length).set(data)
      out.write(staging, to - from)
    }
    return out.finish()
  }

  const { hiddenSize, vocabSize, tiedHead, norm } = config
  const embedding = await matrix('model.embed_tokens.weight', vocabSize, hiddenSize)
  const modules = new Map<string, LoadedModule>()
  const norms = new Map<string, Pointer>()
  const addNorm = async ({ name, offset }: Norm) => {
    norms.set(name, await vector(`${name}.weight`, offset))
  }
  for (const [i, spec] of config.layerSpecs.entries()) {
    for (const { name, shape, bias } of linearModules(config, i)) {
      const linear = await matrix(`${name}.weight`, ...shape)
      modules.set(name, bias ? { linear, bias: await vector(`${name}.bias`) } : { linear })
    }
    for (const norm of normsOf(spec)) await addNorm(norm)
  }
  await addNorm(norm)
  const head = tiedHead ? embedding : await matrix('lm_head.weight', vocabSize, hiddenSize)
  arena.free(staging)
  return { embedding, head, modules, norms }
}

const codecsOf = (e: {
  readonly codec: string
  readonly inner?: { readonly codec: string } | undefined
}): string => (e.inner ? `${e.codec} of ${codecsOf(e.inner)}` : e.codec)
