import { sizeOf, type Tensor, tensor } from '../core/tensor.ts'
import type { ModelFiles } from '../formats/model-files.ts'
import type { Rows } from '../formats/store.ts'
import { ggufValues, keepsRows, type StoredInGguf, storedParts } from './gguf-values.ts'

/** Reads a tensor of `shape` that llama.cpp stored, or rows of it, as Hugging Face has it. */
export async function readStored(
  files: ModelFiles,
  stored: StoredInGguf,
  shape: readonly number[],
  rows: Rows = [0, shape[0]],
): Promise<Tensor<'F32'>> {
  const [from, to] = rows
  const part = [to - from, ...shape.slice(1)]
  if (keepsRows(stored, shape)) {
    const { data } = await files.readFloat32(stored.name, rows)
    return tensor('F32', part, ggufValues(stored, data, part[0], 'from'))
  }
  const whole = new Float32Array(sizeOf(shape))
  let at = 0
  for (const { name } of storedParts(stored, shape)) {
    const { data } = await files.readFloat32(name)
    whole.set(data, at)
    at += data.length
  }
  const width = whole.length / shape[0]
  return tensor('F32', part, ggufValues(stored, whole, shape[0], 'from').slice(from * width, to * width))
}
