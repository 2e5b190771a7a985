import { type LongWork, ReallmError, sizeOf } from '@reallm/tensor-io'
import { allTensors, type ModelWeights } from '@reallm/transformer'
import { basename, join } from '#platform'
import { tokenizerFiles } from '../open/tokenizer-files.ts'
import type { Inputs } from '../output/inputs.ts'
import { writeOutput } from '../output/write-output.ts'
import { bytesPerWeight, type StoredAs } from './storable.ts'
import { whatIsLost } from './what-is-lost.ts'
import { writeGguf } from './write-gguf.ts'
import { writeSafetensorsModel } from './write-safetensors-model.ts'

/** What `convertModel` can store weights as. */
export const convertDtypes = Object.keys(bytesPerWeight) as readonly StoredAs[]

/** Options of `convertModel`. */
export interface ConvertOptions extends LongWork {
  /** A directory, or a `.safetensors` or `.gguf` file. */
  readonly to: string
  /** Default: by the ending of `to`, else safetensors. */
  readonly format?: 'safetensors' | 'gguf' | undefined
  /** Default `bf16` for safetensors, `f16` for GGUF. Norms and biases stay F32 in GGUF. */
  readonly dtype?: StoredAs | undefined
  /** Replace what an earlier run wrote to `to`. */
  readonly force?: boolean | undefined
  /** What is read beside the model (an `adapter` in its weights); `to` may not be or hold it. */
  readonly inputs?: Inputs | undefined
}

/** What was written. */
export interface Converted {
  readonly bytes: number
  /** What the model had and the output has not, a sentence each. */
  readonly lost: readonly string[]
}

/**
 * Writes a model's decoded weights as a Hugging Face directory or file, or as a GGUF file; one tensor in memory. What was
 * written is opened again and compared with the model before it appears: configuration, tokenizer, chat template, and the
 * first and last row of every tensor.
 *
 * @throws `bad-option` for a name whose ending is that of another format, and for an output that is or holds an input, or that reallm did not write; `io` when it cannot be written
 * @throws `unsupported` naming what the format cannot hold; `numeric` naming a weight that the dtype cannot
 */
export async function convertModel(model: ModelWeights, options: ConvertOptions): Promise<Converted> {
  const { to } = options
  const ending = /\.(gguf|safetensors)$/.exec(to)?.[1]
  const format = options.format ?? (ending === 'gguf' ? 'gguf' : 'safetensors')
  if (ending !== undefined && ending !== format) {
    throw new ReallmError('bad-option', `${to}: the format is ${format}, the ending says ${ending}`, {
      hint: 'leave out --format, or name the output accordingly',
    })
  }
  const dtype = options.dtype ?? (format === 'gguf' ? 'f16' : 'bf16')
  const write = writerOf(format, dtype)
  const isFile = to.endsWith(`.${format}`)
  const beside = format === 'gguf' ? [] : ['config.json', ...[...(await tokenizerFiles(model)).keys()].sort()]
  const output = {
    program: 'reallm convert',
    inputs: { model: model.files.spec, ...options.inputs },
    force: options.force,
    bytes: bytesPerWeight[dtype] * weightsIn(model),
    ...(isFile && { file: { beside } }),
  }
  const { bytes } = await writeOutput(to, output, (folder, place) =>
    write(model, join(folder, isFile ? basename(place) : `model.${format}`), options),
  )
  return { bytes, lost: whatIsLost(model.files, dtype, bytes) }
}

type Write = (model: ModelWeights, path: string, work: LongWork) => Promise<{ bytes: number }>

function writerOf(format: 'safetensors' | 'gguf', dtype: StoredAs): Write {
  if (format === 'gguf') return (model, path, work) => writeGguf(model, path, dtype, work)
  if (dtype !== 'q8_0') return (model, path, work) => writeSafetensorsModel(model, path, dtype, work)
  throw new ReallmError('bad-option', 'q8_0 is a type of GGUF', { hint: 'use --format gguf, or f16' })
}

const weightsIn = ({ config }: ModelWeights): number =>
  [...allTensors(config).values()].reduce((sum, shape) => sum + sizeOf(shape), 0)
