import {
  createSafetensorsWriter,
  type DType,
  fromFloat32,
  type LongWork,
  tensor,
  writeFileAtomic,
} from '@reallm/tensor-io'
import { storedStacks } from '@reallm/tensor-io/models'
import {
  type HuggingFaceConfig,
  type ModelWeights,
  openWeights,
  parseConfig,
  type TransformerConfig,
} from '@reallm/transformer'
import { dirname, join } from '#platform'
import { tokenizerFiles } from '../open/tokenizer-files.ts'
import { requireSameTokenizers } from '../output/compare-tokenizers.ts'
import { requireSameModel } from './compare-models.ts'
import { eachTensor } from './each-tensor.ts'
import { requireStorable, type StoredAs } from './storable.ts'

const types = { f32: ['F32', 'float32'], f16: ['F16', 'float16'], bf16: ['BF16', 'bfloat16'] } as const

/** Writes a model as one safetensors file with the other files of a model directory beside it, and reads it back. */
export async function writeSafetensorsModel(
  model: ModelWeights,
  path: string,
  dtype: Exclude<StoredAs, 'q8_0'>,
  work: LongWork,
): Promise<{ bytes: number }> {
  const [type, torchName] = types[dtype]
  const stacks = storedStacks(model.config)
  const planned = Object.fromEntries(
    [...model.shapes].map(([name, shape]) => {
      const stack = stacks.get(name)
      return [stack?.name ?? name, { dtype: type, shape: stack?.shape ?? shape }]
    }),
  )
  const writer = await createSafetensorsWriter(path, planned, { format: 'pt' })
  try {
    await eachTensor(model, stacks, work, async (name, values, shape) => {
      requireStorable(name, shape, values, dtype)
      await writer.write(name, tensor<DType>(type, shape, fromFloat32(type, values)))
    })
    await writer.finish()
  } catch (error) {
    await writer.abort()
    throw error
  }
  const folder = dirname(path)
  const config = await configStoredAs(model.config, torchName)
  await writeFileAtomic(join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`)
  for (const [name, contents] of await tokenizerFiles(model)) {
    await writeFileAtomic(join(folder, name), contents)
  }
  const written = await openWeights(path)
  try {
    await requireSameModel(model, written, dtype, work)
    await requireSameTokenizers(model, written, 'a model directory', model.config.vocabSize)
  } finally {
    await written.close()
  }
  return { bytes: writer.bytes }
}

/** The `config.json` with another dtype, except where a family's numbers depend on what it was trained in. */
async function configStoredAs(
  { source, embeddingScale }: TransformerConfig,
  dtype: string,
): Promise<HuggingFaceConfig> {
  const { quantization_config: _, ...rest } = source
  const changed = { ...rest, [rest.dtype ? 'dtype' : 'torch_dtype']: dtype }
  return (await parseConfig(changed)).embeddingScale === embeddingScale ? changed : rest
}
