import { readText } from './read-text.ts'

/** Flags and description of the option that names a public key. */
export const publicKeyOption = [
  '--public-key <file>',
  'open only what its private key signed (reallm pack --sign)',
] as const

/** The contents of a key's file, where one is named. */
export const readKey = async (file: string | undefined): Promise<string | undefined> =>
  file === undefined ? undefined : readText(file)
