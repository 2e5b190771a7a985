import { open, readFile, stat } from 'node:fs/promises'
import { fileError, ReallmError } from '@reallm/tensor-io'

/** Bytes that a pipe or device may give: some give for ever. */
const mostOfPipe = 2 ** 30

/**
 * The contents of a file that a user named; of a pipe too, as a shell makes of `<(…)`.
 *
 * @param most bytes that a pipe or device may give
 * @throws `not-found`; `bad-file` for a directory, or a device that gives more; `io`. All name the file.
 */
export async function readNamed(path: string, most = mostOfPipe): Promise<Uint8Array> {
  try {
    const found = await stat(path)
    if (found.isFile() || found.isDirectory()) return await readFile(path)
    const file = await open(path)
    try {
      const chunks: Uint8Array[] = []
      let bytes = 0
      for await (const chunk of file.createReadStream({ autoClose: false })) {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes > most) throw tooMuch(path, most)
      }
      return Buffer.concat(chunks)
    } finally {
      await file.close()
    }
  } catch (cause) {
    throw fileError(cause, path, 'read')
  }
}

const tooMuch = (path: string, most: number) =>
  new ReallmError('bad-file', `${path} is a pipe or a device that gives more than ${most} bytes`, {
    hint: 'copy what is wanted of it into a file first',
  })
