import {
  createGgufWriter,
  type GgufTensorType,
  type GgufValue,
  type LongWork,
  type PlannedGgufTensors,
  throwIfAborted,
} from '@reallm/tensor-io'
import {
  configFromGguf,
  configToGguf,
  createTokenizer,
  endIdsOfGguf,
  ggufTensors,
  ggufValues,
  type ModelWeights,
  openWeights,
  parseConfig,
  type TextTokenizer,
  type TransformerConfig,
  tokenizerFromGguf,
  tokenizerToGguf,
} from '@reallm/transformer'
import { tokenizerOf } from '../open/tokenizer-files.ts'
import { requireSameTokenizer } from '../output/compare-tokenizers.ts'
import { requireSameConfig } from './compare-configs.ts'
import { requireSameModel } from './compare-models.ts'
import { eachTensor } from './each-tensor.ts'
import { requireStorable, type StoredAs } from './storable.ts'

/** `general.file_type` of llama.cpp, and the type of matrices. */
const fileTypes: Readonly<Record<StoredAs, readonly [number, GgufTensorType]>> = {
  f32: [0, 'F32'],
  f16: [1, 'F16'],
  bf16: [32, 'BF16'],
  q8_0: [7, 'Q8_0'],
}

const ropeFactors = 'rope_freqs.weight'

/** Writes a model as a GGUF file, after a look at whether GGUF can hold it, and reads it back. */
export async function writeGguf(
  model: ModelWeights,
  path: string,
  dtype: StoredAs,
  work: LongWork,
): Promise<{ bytes: number }> {
  const { config } = model
  const [fileType] = fileTypes[dtype]
  const gguf = configToGguf(config)
  const tokenizer = await tokenizerOf(model)
  const metadata: Record<string, GgufValue> = {
    ...gguf.metadata,
    'general.file_type': { type: 'uint32', value: fileType },
    ...(tokenizer ? withTokenizer(tokenizer, config) : withoutTokenizer(config)),
  }
  const inGguf = ggufTensors(config)
  const planned: Record<string, PlannedGgufTensors[string]> = {}
  for (const [name, shape] of model.shapes) {
    const stored = inGguf.get(name)!.name
    gguf.requireTensor(stored)
    planned[stored] = { type: tensorType(shape, dtype), shape }
  }
  if (gguf.ropeFactors) planned[ropeFactors] = { type: 'F32', shape: [gguf.ropeFactors.length] }
  requireHeld(model, tokenizer, metadata, planned, gguf.ropeFactors)

  const writer = await createGgufWriter(path, metadata, planned)
  try {
    if (gguf.ropeFactors) await writer.write(ropeFactors, gguf.ropeFactors)
    await eachTensor(model, work, async (name, values, shape) => {
      const stored = inGguf.get(name)!
      requireStorable(name, shape, values, typeNames[planned[stored.name].type])
      await writer.write(stored.name, ggufValues(stored, values, shape[0], 'to'))
    })
    await writer.finish()
  } catch (error) {
    await writer.abort()
    throw error
  }
  throwIfAborted(work.signal)
  const written = await openWeights(path)
  try {
    await requireSameModel(model, written, dtype, work)
  } finally {
    await written.close()
  }
  return { bytes: writer.bytes }
}

const typeNames: Readonly<Record<GgufTensorType, StoredAs>> = {
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
  Q8_0: 'q8_0',
}

/** Vectors stay F32; blocks of 32 do not fit every width, 16 bits do. */
const tensorType = (shape: readonly number[], dtype: StoredAs): GgufTensorType =>
  shape.length < 2 ? 'F32' : dtype === 'q8_0' && shape[1] % 32 !== 0 ? 'F16' : fileTypes[dtype][1]

/** llama.cpp takes an arbitrary token for BOS where none is said, so that the configuration's is better. */
const withTokenizer = (tokenizer: TextTokenizer, { vocabSize, bos }: TransformerConfig) => ({
  ...(bos !== undefined && tokenIds({ bos })),
  ...tokenizerToGguf(tokenizer, vocabSize),
})

const tokenIds = (ids: Readonly<Record<string, number | undefined>>): Record<string, GgufValue> =>
  Object.fromEntries(
    Object.entries(ids).flatMap(([name, value]) =>
      value === undefined ? [] : [[`tokenizer.ggml.${name}_token_id`, { type: 'uint32', value }]],
    ),
  )

/** llama.cpp loads a model without a tokenizer when the file says that there is none. */
const withoutTokenizer = ({ bos, eos: [eos, eot, eom] }: TransformerConfig): Record<string, GgufValue> => ({
  'tokenizer.ggml.model': { type: 'string', value: 'none' },
  ...tokenIds({ bos, eos, eot, eom }),
})

/**
 * Reads what is about to be written as if it had been.
 *
 * @throws `unsupported` naming what GGUF cannot hold
 */
function requireHeld(
  { config }: ModelWeights,
  tokenizer: TextTokenizer | undefined,
  metadata: Readonly<Record<string, GgufValue>>,
  planned: PlannedGgufTensors,
  ropeFactors: Float32Array | undefined,
): void {
  const values = Object.fromEntries(
    Object.entries(metadata).map(([key, { type, value }]) => [
      key,
      type === 'float32' && typeof value === 'number' ? Math.fround(value) : value,
    ]),
  )
  const tensors = new Map(Object.entries(planned))
  requireSameConfig(config, parseConfig(configFromGguf(values, tensors, ropeFactors)), 'GGUF')
  if (!tokenizer) return
  const found = createTokenizer(tokenizerFromGguf(values), endIdsOfGguf(values))
  requireSameTokenizer(tokenizer, found, 'GGUF', config.vocabSize)
}
