import type { EncodedMatrix } from '../codec/encoded-matrix.ts'
import { blockTypes } from '../codec/gguf-blocks/types.ts'
import { ReallmError } from '../core/errors.ts'
import type { ModelFiles } from '../formats/model-files.ts'
import { permuteHeads, type StoredInGguf, storedParts } from './gguf-values.ts'

/**
 * A matrix of `shape` in the blocks that llama.cpp stored it in, its rows in Hugging Face's order; undefined where it is not stored
 * in blocks, or not row by row.
 */
export function blocksInGguf(
  files: ModelFiles,
  stored: StoredInGguf,
  shape: readonly number[],
): { readonly codec: 'gguf'; readonly type: string; read(): Promise<EncodedMatrix> } | undefined {
  const { interleavedHeads, inStack, tiled, negatedExponential, shape: other } = stored
  const parts = storedParts(stored, shape)
  const [type, ...types] = parts.map(({ name }) => files.tensors.get(name)?.dtype)
  const isByRow = !tiled && !negatedExponential && !other && (!inStack || inStack.step === 1)
  const inBlocks = type !== undefined && blockTypes.has(type) && types.every(next => next === type)
  if (!isByRow || !inBlocks || shape.length !== 2) return undefined

  async function read(): Promise<EncodedMatrix> {
    const [rows, cols] = shape
    const { readBlocks } = files
    if (!readBlocks) throw new ReallmError('unsupported', `${files.spec}: its blocks cannot be read`)
    const found: Uint8Array<ArrayBuffer>[] = []
    for (const { name } of parts) {
      if (!inStack) found.push(await readBlocks(name))
      else {
        const expert = await readBlocks(name, [inStack.expert, inStack.expert + 1])
        const rowBytes = expert.length / inStack.shape[1]
        found.push(expert.subarray(inStack.from * rowBytes, (inStack.from + rows) * rowBytes))
      }
    }
    const bytes = found.length === 1 ? found[0] : new Uint8Array(await new Blob(found).arrayBuffer())
    const data = interleavedHeads > 0 ? permuteHeads(bytes, rows, interleavedHeads, true) : bytes
    const blocks = { dtype: 'U8' as const, shape: [rows, data.length / rows], data }
    return { codec: 'gguf', params: { type }, shape: [rows, cols], parts: { blocks } }
  }
  return { codec: 'gguf', type, read }
}
