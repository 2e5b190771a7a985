import { ReallmError } from '@reallm/tensor-io'
import type { ModelLocation } from '../open.ts'
import type { SentLocation } from './messages.ts'

/** A text that is relative to this page as it is to be read elsewhere; in Node, and for `hf:` and `npm:`, as it is. */
export const absolute = (text: string): string =>
  'window' in globalThis && !/^(hf|npm):/.test(text) ? new URL(text, document.baseURI).href : text

/**
 * Where a model is, as it can be sent to a Worker.
 *
 * @throws `bad-option` for an open model
 */
export function sentLocation(where: ModelLocation): SentLocation {
  if (typeof where === 'string' || where instanceof URL) return absolute(String(where))
  if (where instanceof Blob) return where
  if (Symbol.iterator in where) return [...where]
  throw new ReallmError('bad-option', `${where.spec}: an open model cannot be sent to a Worker`, {
    hint: 'name it by its path or URL, or pass the files',
  })
}
