import { ReallmError } from './errors.ts'
import { textOf } from './read-text.ts'

/** Parses a JSON object in UTF-8; throws `bad-file` naming the file. */
export function parseJson(name: string, bytes: Uint8Array): Record<string, unknown> {
  const text = textOf(name, bytes)
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new ReallmError('bad-file', `${name}: it is not JSON (${(cause as Error).message})`, { cause })
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new ReallmError('bad-file', `${name}: it is not a JSON object`)
  }
  return json as Record<string, unknown>
}
