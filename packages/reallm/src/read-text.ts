import { textOf } from '@reallm/tensor-io'
import { readNamed } from './read-named.ts'

/**
 * The text of a file that a user named.
 *
 * @throws `not-found`, `bad-file` for a directory or what is no UTF-8, `io`; all name the file
 */
export const readText = async (file: string): Promise<string> => textOf(file, await readNamed(file))
