import { ReallmError } from './errors.ts'

/**
 * Runs code of a library on what a file says: whatever it throws comes out as a `ReallmError` that names the file.
 *
 * @param name of the file
 * @param what was attempted: "it does not make a tokenizer"
 */
export function guarded<T>(name: string, what: string, run: () => T): T {
  try {
    return run()
  } catch (cause) {
    if (cause instanceof ReallmError) throw cause
    throw new ReallmError('bad-file', `${name}: ${what}: it is damaged or of a kind that is not known`, {
      hint: 'download the file again',
      cause,
    })
  }
}
