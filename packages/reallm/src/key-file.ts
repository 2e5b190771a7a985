import { readFile } from 'node:fs/promises'
import { textOf } from '@reallm/tensor-io'

/** Flags and description of the option that names a public key. */
export const publicKeyOption = [
  '--public-key <file>',
  'open only what its private key signed (reallm pack --sign)',
] as const

/** The contents of a key's file, where one is named. */
export async function readKey(file: string | undefined): Promise<string | undefined> {
  return file === undefined ? undefined : textOf(file, await readFile(file))
}
