import { ReallmError } from '../../core/errors.ts'
import { type Cursor, cursorOver, MoreBytesNeeded } from '../gguf/cursor.ts'
import type { Imatrix, InputSquares } from './imatrix.ts'

/** Fewest bytes of an entry: the length of its name, calls, the number of values, one value. */
const smallestEntry = 16

/**
 * Reads the older form, `.dat`: a number of entries, each a name, the number of calls and sums over them; then the calls of all,
 * and the name of the text.
 */
export function readLegacyImatrix(name: string, bytes: Uint8Array<ArrayBuffer>): Imatrix {
  const cursor = cursorOver(bytes)
  const left = () => bytes.length - cursor.position
  try {
    const entries = within(cursor.i32(), left() / smallestEntry)
    const tensors = new Map<string, InputSquares>()
    for (let i = 0; i < entries; i++) {
      const tensor = cursor.text(within(cursor.i32(), left()))
      const calls = cursor.i32()
      const meanSquares = new Float32Array(within(cursor.i32(), left() / 4))
      for (const j of meanSquares.keys()) meanSquares[j] = cursor.f32() / Math.max(1, calls)
      if (tensors.has(tensor)) throw new MoreBytesNeeded()
      tensors.set(tensor, { meanSquares, tokens: [calls] })
    }
    return { tensors, ...ending(cursor, left) }
  } catch (cause) {
    if (!(cause instanceof MoreBytesNeeded)) throw cause
    throw new ReallmError('bad-file', `${name} is no importance matrix of llama.cpp, or is damaged`, {
      hint: 'llama-imatrix and reallm imatrix write them',
      cause,
    })
  }
}

/** What comes after the entries, where there is anything. */
function ending(cursor: Cursor, left: () => number): Omit<Imatrix, 'tensors'> {
  const chunks = left() >= 4 ? cursor.i32() : 0
  const text = left() >= 4 ? cursor.text(within(cursor.i32(), left())) : ''
  return { chunks, chunkSize: 0, datasets: text === '' ? [] : [text] }
}

/** A length that the rest of the file can hold. */
function within(length: number, most: number): number {
  if (length > 0 && length <= most) return length
  throw new MoreBytesNeeded()
}
