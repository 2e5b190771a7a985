import { type EncodedMatrix, partsOf } from '../../codec/encoded-matrix.ts'
import { ReallmError } from '../../core/errors.ts'
import { parseJson } from '../../core/json.ts'
import { encodeSafetensors } from '../safetensors/encode.ts'
import { openSafetensors } from '../safetensors/open.ts'
import { writeSafetensors } from '../safetensors/write.ts'
import { openFileSource } from '../source/file-source.ts'
import { type ByteSource, bytesSource } from '../source/source.ts'
import { assemble, describe, parseStoredMatrix } from './stored-matrix.ts'

const metadataKey = 'reallm.matrix'

const metadataOf = (e: EncodedMatrix) => ({ [metadataKey]: JSON.stringify(describe(e)) })

/**
 * Writes one encoded matrix to a safetensors file of its own, by way of a temporary name: the tensors under the
 * names of `partsOf`, codec and parameters in the metadata.
 */
export const saveEncoded = (path: string, e: EncodedMatrix): Promise<void> =>
  writeSafetensors(path, partsOf(e), metadataOf(e))

/** Reads what `saveEncoded` wrote; throws `bad-file` for anything else. */
export const loadEncoded = async (path: string): Promise<EncodedMatrix> =>
  readEncoded(path, await openFileSource(path))

/** The file of `saveEncoded`, in memory. */
export const encodedToBytes = (e: EncodedMatrix): Uint8Array<ArrayBuffer> =>
  encodeSafetensors(partsOf(e), metadataOf(e))

/** Reads what `encodedToBytes` made; errors begin with `where`. */
export const encodedFromBytes = (where: string, bytes: Uint8Array<ArrayBuffer>): Promise<EncodedMatrix> =>
  readEncoded(where, bytesSource(where, bytes))

async function readEncoded(where: string, source: ByteSource): Promise<EncodedMatrix> {
  const file = await openSafetensors(source)
  try {
    const description = file.metadata[metadataKey]
    if (description === undefined) {
      throw new ReallmError('bad-file', `${where}: it holds no encoded matrix`, {
        hint: 'was it written by saveEncoded?',
      })
    }
    const stored = parseStoredMatrix(where, parseJson(where, new TextEncoder().encode(description)))
    return await assemble(stored, part => file.read(part))
  } finally {
    await file.close()
  }
}
