import { createGgufWriter, type GgufTensorType, type LongWork, ReallmError } from '@reallm/tensor-io'
import { ggufStacks, ggufTensors, partsToWrite } from '@reallm/tensor-io/gguf'
import { type ModelWeights, openWeights } from '@reallm/tensor-io/models'
import { requireSameModel } from './compare-models.ts'
import { eachTensor } from './each-tensor.ts'
import { type GgufPlan, planGguf, valuesOf } from './plan-gguf.ts'
import { requireStorable, type StoredAs } from './storable.ts'

const storedAs: Readonly<Record<GgufTensorType, StoredAs>> = {
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
  Q8_0: 'q8_0',
}

/** Writes a model as a GGUF file, after a look at whether GGUF can hold it, and reads it back. */
export async function writeGguf(
  model: ModelWeights,
  path: string,
  dtype: StoredAs,
  work: LongWork,
): Promise<{ bytes: number }> {
  const plan = await planGguf(model, dtype, work)
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
    requireMetadata(written, plan)
    await requireSameModel(model, written, dtype, work)
  } finally {
    await written.close()
  }
  return { bytes: writer.bytes }
}

/** The plan has been compared with the model; the file has to be the plan. */
function requireMetadata({ files }: ModelWeights, plan: GgufPlan): void {
  for (const [key, value] of Object.entries(valuesOf(plan))) {
    if (JSON.stringify(files.metadata[key]) === JSON.stringify(value)) continue
    throw new ReallmError('integrity', `${key} reads back otherwise than it was written`, {
      hint: 'nothing was written; this is a fault of reallm or of the disk',
    })
  }
}
