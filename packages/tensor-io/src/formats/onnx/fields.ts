import { ReallmError } from '../../core/errors.ts'
import type { ByteSource } from '../source/source.ts'

/** One field of a protocol buffer: a number, or where its bytes lie. */
export type Field =
  | { readonly number: number; readonly value: number }
  | { readonly number: number; readonly start: number; readonly end: number }

/** Bytes read at a time. */
const WINDOW = 2 ** 16

/**
 * Reads the fields of messages in a file, a window of it at a time; of bytes only where they lie.
 *
 * @throws `bad-file` for a field that ends beyond its message or has a form that protocol buffers do not have
 */
export function fieldReader(source: ByteSource) {
  let window = new Uint8Array(0)
  let from = 0
  const broken = (what: string) =>
    new ReallmError('bad-file', `${source.name}: ${what}`, {
      hint: 'it is not an ONNX file, or a damaged one',
    })

  /** At least ten bytes from `at`, where the file has them. */
  async function bytesAt(at: number): Promise<Uint8Array> {
    if (at < from || at + 10 > from + window.length) {
      const end = Math.min(source.size, at + WINDOW)
      window = await source.read(at, end)
      from = at
    }
    return window.subarray(at - from)
  }

  async function varint(at: number, end: number): Promise<{ value: number; next: number }> {
    const bytes = await bytesAt(at)
    let value = 0
    for (let i = 0; i < 10; i++) {
      if (at + i >= end || i >= bytes.length) throw broken('it ends within a number')
      value += (bytes[i] & 127) * 2 ** (7 * i)
      if (bytes[i] < 128) return { value, next: at + i + 1 }
    }
    throw broken('a number has more than ten bytes')
  }

  /** The fields between two places. */
  async function* fields(start: number, end: number): AsyncGenerator<Field> {
    for (let at = start; at < end; ) {
      const key = await varint(at, end)
      const [number, form] = [Math.floor(key.value / 8), key.value % 8]
      if (form === 0) {
        const { value, next } = await varint(key.next, end)
        yield { number, value }
        at = next
      } else if (form === 2) {
        const length = await varint(key.next, end)
        const last = length.next + length.value
        if (!(last <= end)) throw broken(`a field of ${length.value} bytes ends beyond what holds it`)
        yield { number, start: length.next, end: last }
        at = last
      } else if (form === 1 || form === 5) {
        at = key.next + (form === 1 ? 8 : 4)
        if (at > end) throw broken('it ends within a number')
      } else throw broken(`a field has the form ${form}`)
    }
  }

  /** A short text. */
  async function text({ start, end }: { start: number; end: number }): Promise<string> {
    if (end - start > WINDOW) throw broken(`a name has ${end - start} bytes`)
    return new TextDecoder().decode(await source.read(start, end))
  }

  return { fields, text, broken }
}
