import type { EncodedMatrix } from '../codec/encoded-matrix.ts'
import { ReallmError } from '../core/errors.ts'
import { warn } from '../core/progress.ts'
import { sizeOf, type Tensor } from '../core/tensor.ts'
import type { ModelFiles, OpenOptions } from '../formats/model-files.ts'
import { openModel } from '../formats/open/open-model.ts'
import { checkTensors } from './declared/check-tensors.ts'
import { readConfig } from './declared/read-config.ts'
import { storedNames } from './declared/stored-names.ts'
import { warningOf } from './declared/warning.ts'
import type { StoredAs } from './read-stack.ts'
import { type InStack, storedStacks } from './stacks.ts'
import type { TextTokenizer } from './tokenizer/create-tokenizer.ts'
import { openTokenizer } from './tokenizer/open-tokenizer.ts'
import { allTensors, type TransformerConfig } from './transformer-config.ts'

/** A matrix that is stored by a codec, read when it is asked for. */
export interface StoredMatrix {
  readonly codec: string
  /** The type of GGUF's blocks. */
  readonly type?: string | undefined
  /** The matrix that it wraps. */
  readonly inner?: Pick<StoredMatrix, 'codec' | 'inner'> | undefined
  read(): Promise<EncodedMatrix>
}

/** A model whose tensors have Hugging Face's names, order and meaning, wherever they come from. */
export interface ModelWeights {
  readonly config: TransformerConfig
  readonly files: ModelFiles
  /** Every tensor of the model. */
  readonly names: readonly string[]
  readonly shapes: ReadonlyMap<string, readonly number[]>
  /** Reads one tensor in float32; `rows` reads rows `from` to `to` (exclusive) of its first axis. */
  read(name: string, rows?: readonly [from: number, to: number]): Promise<Tensor<'F32'>>
  /** A matrix as the files hold it, where that is by a codec: an artifact's, or blocks of GGUF. */
  stored(name: string): StoredMatrix | undefined
  /** Bytes that a tensor takes in the files, all parts of a compressed one counted. */
  bytesOf(name: string): number
  /** In one line, what the files hold and say that nothing here uses. */
  readonly warning?: string
  tokenizer(): Promise<TextTokenizer>
  close(): Promise<void>
}

/**
 * Opens a model for computing: reads its configuration, translates GGUF's names and layout, and checks that every
 * tensor is there in the right shape. Reads no weights, except a head beside a tied embedding, to compare them.
 *
 * What the files say and nothing here uses is refused where it changes the result; the rest is one `warning`, also told
 * to `onProgress`.
 *
 * @param model anything `openModel` takes, or what it returned
 * @throws `unsupported` for a family that isn't there; `bad-file` naming tensors that are missing or misshapen
 * @example
 * const model = await openWeights('SmolLM2-135M-Instruct.Q4_1.gguf')
 * const w = await model.read('model.layers.0.self_attn.q_proj.weight') // [576, 576]
 */
export async function openWeights(
  model: string | ModelFiles,
  options: OpenOptions = {},
): Promise<ModelWeights> {
  if (typeof model !== 'string') return weightsOf(model, options)
  const files = await openModel(model, options)
  return weightsOf(files, options).catch(async (error: unknown) => {
    await files.close()
    throw error
  })
}

async function weightsOf(files: ModelFiles, options: OpenOptions): Promise<ModelWeights> {
  const { config, wrapper, unknown } = await readConfig(files)
  const { modelType } = config.family
  const gguf = files.kind === 'gguf' ? await import('./gguf.ts') : undefined
  const inGguf = gguf?.ggufTensors(config)
  const nameOf = storedNames(files, { tied: config.tiedHead })
  const stacks = stacksIn(files, config, nameOf)
  const stack = gguf || stacks.size > 0 ? await import('./read-stack.ts') : undefined
  const storedName = (name: string) => inGguf?.get(name)?.name ?? nameOf(name)
  const inStack = (name: string) => inGguf?.get(name)?.inStack ?? stacks.get(name)
  const shapes = allTensors(config)
  const storedAs = ([name, shape]: readonly [string, readonly number[]]): readonly StoredAs[] => {
    const place = inStack(name)
    if (stack && place) return stack.stackStoredAs(files, place)
    const stored = inGguf?.get(name)
    return gguf && stored ? gguf.storedParts(stored, shape) : [{ name: storedName(name), shape }]
  }
  const stored = new Map([...shapes].map(tensor => [tensor[0], storedAs(tensor)]))
  const storedBytes = bytesByName(files)
  const unused = await checkTensors(files, stored, config)
  const warning = warningOf(files, { wrapper, unknown, unused })
  if (warning !== undefined) warn(options, warning)

  async function read(name: string, rows?: readonly [number, number]): Promise<Tensor<'F32'>> {
    const wanted = shapes.get(name)
    if (!wanted) throw new ReallmError('not-found', `${files.spec}: a ${modelType} has no tensor ${name}`)
    const place = inStack(name)
    if (stack && place) return stack.readInStack(files, place, wanted, rows)
    const stored = inGguf?.get(name)
    if (!gguf || !stored) return files.readFloat32(storedName(name), rows)
    return gguf.readStored(files, stored, wanted, rows)
  }

  function matrixOf(name: string): StoredMatrix | undefined {
    const inArtifact = files.artifact?.modules.get(name.replace(/\.weight$/, ''))
    if (inArtifact) {
      const read = () => files.artifact!.readEncoded(name.replace(/\.weight$/, ''))
      return { codec: inArtifact.codec, inner: inArtifact.inner, read }
    }
    const [stored, shape] = [inGguf?.get(name), shapes.get(name)]
    return stored && shape && gguf?.blocksInGguf(files, stored, shape)
  }

  return {
    config,
    files,
    names: [...shapes.keys()],
    shapes,
    read,
    stored: matrixOf,
    bytesOf: name => {
      const wanted = shapes.get(name)
      const place = inStack(name)
      const parts = stored.get(name) ?? [{ name: storedName(name) }]
      const bytes = parts.reduce((sum, { name }) => sum + storedBytes(name), 0)
      return wanted && place ? (bytes * sizeOf(wanted)) / sizeOf(place.shape) : bytes
    },
    ...(warning !== undefined && { warning }),
    tokenizer: () => openTokenizer(files, options),
    close: () => files.close(),
  }
}

/** The tensors that lie in stacks of a directory, rather than by themselves. */
function stacksIn(
  files: ModelFiles,
  config: TransformerConfig,
  nameOf: (name: string) => string,
): ReadonlyMap<string, InStack> {
  if (files.kind === 'gguf' || files.kind === 'artifact') return new Map()
  const stacked = [...storedStacks(config)].filter(([name]) => !files.tensors.has(nameOf(name)))
  return new Map(stacked.map(([name, place]) => [name, { ...place, name: nameOf(place.name) }]))
}

/** Bytes of tensors by name, and of all parts of a matrix by its module's name and a dot. */
function bytesByName({ tensors }: ModelFiles): (name: string) => number {
  const under = new Map<string, number>()
  for (const [name, { bytes }] of tensors) {
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const module = name.slice(0, dot + 1)
      under.set(module, (under.get(module) ?? 0) + bytes)
    }
  }
  return name => tensors.get(name)?.bytes ?? under.get(name.replace(/weight$/, '')) ?? 0
}
