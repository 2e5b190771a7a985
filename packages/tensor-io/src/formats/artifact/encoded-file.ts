import { type EncodedMatrix, partsOf } from '../../codec/codec.ts'
import { ReallmError } from '../../core/errors.ts'
import { parseJson } from '../../core/json.ts'
import { openSafetensors } from '../safetensors/open.ts'
import { writeSafetensors } from '../safetensors/write.ts'
import { openFileSource } from '../source/file-source.ts'
import { assemble, describe, parseStoredMatrix } from './stored-matrix.ts'

const metadataKey = 'reallm.matrix'

/**
 * Writes one encoded matrix to a safetensors file of its own, by way of a temporary name: the tensors under the
 * names of `partsOf`, codec and parameters in the metadata.
 */
export const saveEncoded = (path: string, e: EncodedMatrix): Promise<void> =>
  writeSafetensors(path, partsOf(e), { [metadataKey]: JSON.stringify(describe(e)) })

/** Reads what `saveEncoded` wrote; throws `bad-file` for anything else. */
export async function loadEncoded(path: string): Promise<EncodedMatrix> {
  const file = await openSafetensors(await openFileSource(path))
  try {
    const description = file.metadata[metadataKey]
    if (description === undefined) {
      throw new ReallmError('bad-file', `${path}: it holds no encoded matrix`, {
        hint: 'was it written by saveEncoded?',
      })
    }
    const stored = parseStoredMatrix(path, parseJson(path, new TextEncoder().encode(description)))
    return await assemble(stored, part => file.read(part))
  } finally {
    await file.close()
  }
}
