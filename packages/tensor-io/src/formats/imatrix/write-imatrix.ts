import type { PlannedGgufTensors } from '../gguf/encode-header.ts'
import type { GgufValue } from '../gguf/values.ts'
import { createGgufWriter } from '../gguf/write.ts'
import type { Imatrix } from './imatrix.ts'

/** Writes an importance matrix in llama.cpp's GGUF form: sums of squares and counts of tokens. */
export async function writeImatrix(path: string, imatrix: Imatrix): Promise<void> {
  const { tensors, datasets, chunks, chunkSize } = imatrix
  const metadata: Record<string, GgufValue> = {
    'general.type': { type: 'string', value: 'imatrix' },
    'imatrix.datasets': { type: 'string', value: datasets },
    'imatrix.chunk_count': { type: 'uint32', value: chunks },
    'imatrix.chunk_size': { type: 'uint32', value: chunkSize },
  }
  const planned: Record<string, PlannedGgufTensors[string]> = {}
  const values = new Map<string, Float32Array>()
  for (const [name, { meanSquares, tokens }] of tensors) {
    const cols = meanSquares.length / tokens.length
    planned[`${name}.in_sum2`] = { type: 'F32', shape: [tokens.length, cols] }
    planned[`${name}.counts`] = { type: 'F32', shape: [tokens.length, 1] }
    values.set(
      `${name}.in_sum2`,
      meanSquares.map((v, i) => v * tokens[Math.floor(i / cols)]),
    )
    values.set(`${name}.counts`, Float32Array.from(tokens))
  }
  const writer = await createGgufWriter(path, metadata, planned)
  try {
    for (const [name, of] of values) await writer.write(name, of)
    await writer.finish()
  } catch (error) {
    await writer.abort()
    throw error
  }
}
