import { createGgufWriter, type GgufTensorType, type LongWork, ReallmError } from '@reallm/tensor-io'
import { ggufStacks, ggufTensors, partsToWrite } from '@reallm/tensor-io/gguf'
import { type ModelWeights, openWeights } from '@reallm/tensor-io/models'
import { requireSameModel } from './compare-models.ts'
import { eachTensor } from './each-tensor.ts'
import { type GgufPlan, planGguf, valuesOf } from './plan-gguf.ts'
import { requireStorable, type StoredAs } from './storable.ts'

/** `general.file_type` of llama.cpp, and the type of matrices. */
const fileTypes: Readonly<Record<StoredAs, readonly [number, GgufTensorType]>> = {
  f32: [0, 'F32'],
  f16: [1, 'F16'],
  bf16: [32, 'BF16'],
  q8_0: [7, 'Q8_0'],
}

const storedAs = Object.fromEntries(
  Object.entries(fileTypes).map(([dtype, [, type]]) => [type, dtype as StoredAs]),
)

/** Vectors stay F32; blocks of 32 do not fit every width, 16 bits do. */
const typeOf = (shape: readonly number[], dtype: StoredAs): GgufTensorType =>
  shape.length < 2 ? 'F32' : dtype === 'q8_0' && shape[1] % 32 !== 0 ? 'F16' : fileTypes[dtype][1]

/** Writes a model as a GGUF file, after a look at whether GGUF can hold it, and reads it back. */
export async function writeGguf(
  model: ModelWeights,
  path: string,
  dtype: StoredAs,
  work: LongWork,
): Promise<{ bytes: number }> {
  const types = {
    typeOf: (_: string, shape: readonly number[]) => typeOf(shape, dtype),
    fileType: fileTypes[dtype][0],
  }
  const plan = await planGguf(model, types, work)
  const inGguf = ggufTensors(model.config)
  const writer = await createGgufWriter(path, plan.metadata, plan.tensors)
  try {
    for (const [name, values] of Object.entries(plan.ropeTensors)) await writer.write(name, values)
    await eachTensor(model, ggufStacks(inGguf), work, async (name, values, shape) => {
      const stored = inGguf.get(name) ?? { name, interleavedHeads: 0, added: 0 }
      requireStorable(name, shape, values, storedAs[plan.tensors[stored.name].type])
      for (const part of partsToWrite(stored, values, shape)) await writer.write(part.name, part.values)
    })
    await writer.finish()
  } catch (error) {
    await writer.abort()
    throw error
  }
  const written = await openWeights(path)
  try {
    requireMetadata(written.files.metadata, plan)
    await requireSameModel(model, written, dtype, work)
  } finally {
    await written.close()
  }
  return { bytes: writer.bytes }
}

/** The plan has been compared with the model; the file has to be the plan. */
export function requireMetadata(found: Readonly<Record<string, unknown>>, plan: GgufPlan): void {
  for (const [key, value] of Object.entries(valuesOf(plan))) {
    if (JSON.stringify(found[key]) === JSON.stringify(value)) continue
    throw new ReallmError('integrity', `${key} reads back otherwise than it was written`, {
      hint: 'nothing was written; this is a fault of reallm or of the disk',
    })
  }
}
