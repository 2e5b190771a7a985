import {
  createGgufWriter,
  createSafetensorsWriter,
  type DType,
  f32ToBf16,
  f32ToF16,
  type GgufTensorType,
  type LongWork,
  ReallmError,
  sizeOf,
  tensor,
  throwIfAborted,
  writeFileAtomic,
} from '@reallm/tensor-io'
import { allTensors, ggufName, type ModelWeights, permuteHeads } from '@reallm/transformer'
import { basename, dirname, join } from '#platform'
import { tokenizerFiles, tokenizerOf } from '../open/tokenizer-files.ts'
import type { Inputs } from '../output/inputs.ts'
import { writeOutput } from '../output/write-output.ts'
import { ggufMetadata } from './gguf-metadata.ts'

export const convertDtypes = ['f32', 'f16', 'bf16', 'q8_0'] as const

export interface ConvertOptions extends LongWork {
  /** A directory, or a `.safetensors` or `.gguf` file. */
  readonly to: string
  /** Default: by the ending of `to`, else safetensors. */
  readonly format?: 'safetensors' | 'gguf' | undefined
  /** Default `bf16` for safetensors, `f16` for GGUF. Norms and biases stay F32 in GGUF. */
  readonly dtype?: (typeof convertDtypes)[number] | undefined
  /** Replace what an earlier run wrote to `to`. */
  readonly force?: boolean | undefined
  /** What is read beside the model (an `adapter` in its weights); `to` may not be or hold it. */
  readonly inputs?: Inputs | undefined
}

/**
 * Writes a model's decoded weights as a Hugging Face directory or file, or as a GGUF file; one tensor in memory.
 *
 * @throws `bad-option` for an output that is or holds an input, or that reallm did not write; `io` when it cannot be written
 */
export async function convertModel(model: ModelWeights, options: ConvertOptions): Promise<{ bytes: number }> {
  const { to } = options
  const format = options.format ?? (to.endsWith('.gguf') ? 'gguf' : 'safetensors')
  const dtype = options.dtype ?? (format === 'gguf' ? 'f16' : 'bf16')
  if (format === 'safetensors' && dtype === 'q8_0') {
    throw new ReallmError('bad-option', 'q8_0 is a type of GGUF', { hint: 'use --format gguf, or f16' })
  }
  const isFile = to.endsWith(`.${format}`)
  const beside = format === 'gguf' ? [] : ['config.json', ...[...(await tokenizerFiles(model)).keys()].sort()]
  const output = {
    program: 'reallm convert',
    inputs: { model: model.files.spec, ...options.inputs },
    force: options.force,
    bytes: bytesPerWeight[dtype] * weightsIn(model),
    ...(isFile && { file: { beside } }),
  }
  return writeOutput(to, output, (folder, place) => {
    const path = join(folder, isFile ? basename(place) : `model.${format}`)
    return format === 'gguf'
      ? toGguf(model, path, dtype, options)
      : toSafetensors(model, path, dtype, options)
  })
}

const bytesPerWeight = { f32: 4, f16: 2, bf16: 2, q8_0: 1.0625 } as const

const weightsIn = ({ config }: ModelWeights): number =>
  [...allTensors(config).values()].reduce((sum, shape) => sum + sizeOf(shape), 0)

const safetensorsTypes: Record<string, DType> = { f32: 'F32', f16: 'F16', bf16: 'BF16' }

async function toSafetensors(
  model: ModelWeights,
  path: string,
  dtype: string,
  options: ConvertOptions,
): Promise<{ bytes: number }> {
  const type = safetensorsTypes[dtype]
  const shapes = allTensors(model.config)
  const planned = Object.fromEntries([...shapes].map(([name, shape]) => [name, { dtype: type, shape }]))
  const writer = await createSafetensorsWriter(path, planned, { format: 'pt' })
  try {
    await eachTensor(model, shapes, options, async (name, values, shape) => {
      const stored = type === 'F32' ? values : type === 'F16' ? f32ToF16(values) : f32ToBf16(values)
      await writer.write(name, tensor(type, shape, stored))
    })
    await writer.finish()
  } catch (error) {
    await writer.abort()
    throw error
  }
  const { quantization_config: _, ...source } = model.config.source
  const names = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as Record<string, string>
  const config = { ...source, torch_dtype: names[type] }
  await writeFileAtomic(join(dirname(path), 'config.json'), `${JSON.stringify(config, null, 2)}\n`)
  for (const [name, contents] of await tokenizerFiles(model)) {
    await writeFileAtomic(join(dirname(path), name), contents)
  }
  return { bytes: writer.bytes }
}

/** `general.file_type` of llama.cpp. */
const fileTypes = { f32: 0, f16: 1, bf16: 32, q8_0: 7 } as const
const ggufTypes: Record<keyof typeof fileTypes, GgufTensorType> = {
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
  q8_0: 'Q8_0',
}

async function toGguf(
  model: ModelWeights,
  path: string,
  dtype: keyof typeof fileTypes,
  options: ConvertOptions,
): Promise<{ bytes: number }> {
  const { config } = model
  const shapes = allTensors(model.config)
  const nameOf = (name: string) => ggufName(config.modelType, name)
  const typeOf = (shape: readonly number[]): GgufTensorType => {
    if (shape.length < 2) return 'F32'
    // Blocks of 32 do not fit every width; 16 bits do.
    return dtype === 'q8_0' && shape[1] % 32 !== 0 ? 'F16' : ggufTypes[dtype]
  }
  const planned = Object.fromEntries(
    [...shapes].map(([name, shape]) => [nameOf(name), { type: typeOf(shape), shape }]),
  )
  const metadata = ggufMetadata(config, await tokenizerOf(model), fileTypes[dtype])
  const permutes = metadata['general.architecture'].value === 'llama'
  const writer = await createGgufWriter(path, metadata, planned)
  try {
    await eachTensor(model, shapes, options, async (name, values, shape) => {
      const heads = /\.q_proj\./.test(name) ? config.heads : /\.k_proj\./.test(name) ? config.kvHeads : 0
      const isNorm = config.normOffset > 0 && name.endsWith('norm.weight')
      const stored =
        permutes && heads > 0
          ? permuteHeads(values, shape[0], heads, false)
          : isNorm
            ? values.map(v => v + config.normOffset)
            : values
      await writer.write(nameOf(name), stored)
    })
    await writer.finish()
  } catch (error) {
    await writer.abort()
    throw error
  }
  return { bytes: writer.bytes }
}

async function eachTensor(
  model: ModelWeights,
  shapes: ReadonlyMap<string, readonly number[]>,
  { signal, onProgress }: ConvertOptions,
  write: (name: string, values: Float32Array<ArrayBuffer>, shape: readonly number[]) => Promise<void>,
): Promise<void> {
  const total = weightsIn(model)
  let done = 0
  for (const [name, shape] of shapes) {
    throwIfAborted(signal)
    const { data } = await model.read(name)
    await write(name, data as Float32Array<ArrayBuffer>, shape)
    done += data.length
    onProgress?.({ event: 'tensor-end', name, done, total })
  }
}
