import { readFile } from 'node:fs/promises'
import { fileError, textOf } from '@reallm/tensor-io'

/**
 * The text of a file that a user named.
 *
 * @throws `not-found`, `bad-file` for a directory or what is no UTF-8, `io`; all name the file
 */
export async function readText(file: string): Promise<string> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw fileError(cause, file, 'read')
  })
  return textOf(file, bytes)
}
