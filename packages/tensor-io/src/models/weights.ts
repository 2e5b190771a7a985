import { ReallmError } from '../core/errors.ts'
import { type Tensor, tensor } from '../core/tensor.ts'
import type { ModelFiles, OpenOptions } from '../formats/model-files.ts'
import { openModel } from '../formats/open/open-model.ts'
import { allTensors, familyOf, parseConfig, type TransformerConfig } from './config.ts'
import type { HuggingFaceConfig } from './families.ts'
import { configFromGguf, ggufName, permuteHeads } from './gguf.ts'
import type { TextTokenizer } from './tokenizer/create-tokenizer.ts'
import { openTokenizer } from './tokenizer/open-tokenizer.ts'

/** A model whose tensors have Hugging Face's names, order and meaning, wherever they come from. */
export interface ModelWeights {
  readonly config: TransformerConfig
  readonly files: ModelFiles
  /** Every tensor of the model. */
  readonly names: readonly string[]
  readonly shapes: ReadonlyMap<string, readonly number[]>
  /** Reads one tensor in float32; `rows` reads rows `from` to `to` (exclusive) of its first axis. */
  read(name: string, rows?: readonly [from: number, to: number]): Promise<Tensor<'F32'>>
  /** Bytes that a tensor takes in the files, all parts of a compressed one counted. */
  bytesOf(name: string): number
  tokenizer(): Promise<TextTokenizer>
  close(): Promise<void>
}

/**
 * Opens a model for computing: reads its configuration, translates GGUF's names and layout, and checks that every
 * tensor is there in the right shape. Reads no weights.
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
  const files = typeof model === 'string' ? await openModel(model, options) : model
  const config = parseConfig(await configOf(files))
  const { modelType } = config
  const gguf = files.kind === 'gguf'
  const family = familyOf(config.source)
  const storedName = (name: string) => (gguf ? ggufName(modelType, name) : name)
  const shapes = allTensors(config)
  checkShapes(files, shapes, storedName)

  async function read(name: string, rows?: readonly [number, number]): Promise<Tensor<'F32'>> {
    if (!shapes.has(name))
      throw new ReallmError('not-found', `${files.spec}: a ${modelType} has no tensor ${name}`)
    const heads = /\.q_proj\./.test(name) ? config.heads : /\.k_proj\./.test(name) ? config.kvHeads : 0
    if (gguf && family.ggufPermutes && heads > 0) {
      const { shape, data } = await files.readFloat32(storedName(name))
      const whole = permuteHeads(data, shape[0], heads, true)
      const width = whole.length / shape[0]
      const [from, to] = rows ?? [0, shape[0]]
      return tensor('F32', [to - from, ...shape.slice(1)], whole.slice(from * width, to * width))
    }
    const stored = await files.readFloat32(storedName(name), rows)
    if (gguf && config.normOffset && /norm\.weight$/.test(name)) {
      return tensor(
        'F32',
        stored.shape,
        stored.data.map(w => w - config.normOffset),
      )
    }
    return stored
  }

  return {
    config,
    files,
    names: [...shapes.keys()],
    shapes,
    read,
    bytesOf: name => storedBytes(files, storedName(name)),
    tokenizer: () => openTokenizer(files),
    close: () => files.close(),
  }
}

async function configOf(files: ModelFiles): Promise<HuggingFaceConfig> {
  if (files.kind !== 'gguf') return files.config
  const ropeFactors = files.tensors.has('rope_freqs.weight')
    ? (await files.readFloat32('rope_freqs.weight')).data
    : undefined
  return configFromGguf(files.metadata, files.tensors, ropeFactors)
}

function checkShapes(
  files: ModelFiles,
  shapes: ReadonlyMap<string, readonly number[]>,
  storedName: (name: string) => string,
): void {
  const missing = [...shapes.keys()].filter(name => !storedShape(files, storedName(name)))
  if (missing.length > 0) {
    const more = missing.length > 3 ? ` and ${missing.length - 3} more` : ''
    throw new ReallmError('bad-file', `${files.spec}: missing ${missing.slice(0, 3).join(', ')}${more}`, {
      hint: 'the weights do not fit the configuration, or a file is missing',
    })
  }
  for (const [name, want] of shapes) {
    const shape = storedShape(files, storedName(name))!
    if (shape.join() !== want.join()) {
      throw new ReallmError(
        'bad-file',
        `${files.spec}: ${name} [${shape.join('×')}] should be [${want.join('×')}] by the configuration`,
      )
    }
  }
}

/** Compressed matrices are there even where nothing can decode them. */
const storedShape = (files: ModelFiles, name: string): readonly number[] | undefined =>
  files.tensors.get(name)?.shape ?? files.artifact?.modules.get(name.replace(/\.weight$/, ''))?.shape

function storedBytes(files: ModelFiles, name: string): number {
  const whole = files.tensors.get(name)
  if (whole) return whole.bytes
  const prefix = name.replace(/weight$/, '')
  return [...files.tensors].reduce((sum, [part, { bytes }]) => sum + (part.startsWith(prefix) ? bytes : 0), 0)
}
