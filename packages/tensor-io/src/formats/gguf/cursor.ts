/** Thrown when the bytes at hand end before the header does; more of the file must be read. */
export class MoreBytesNeeded extends Error {}

/** Reads little-endian values one after the other from the first bytes of a file. */
export interface Cursor {
  /** Bytes read so far. */
  readonly position: number
  u8(): number
  i8(): number
  u16(): number
  i16(): number
  u32(): number
  i32(): number
  f32(): number
  f64(): number
  /** A number where it is exact, otherwise a bigint. */
  u64(): number | bigint
  i64(): number | bigint
  /** UTF-8; `length` in bytes. */
  text(length: number): string
}

export function cursorOver(bytes: Uint8Array<ArrayBuffer>): Cursor {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let at = 0
  const take = (length: number) => {
    if (at + length > bytes.length) throw new MoreBytesNeeded()
    at += length
    return at - length
  }
  return {
    get position() {
      return at
    },
    u8: () => view.getUint8(take(1)),
    i8: () => view.getInt8(take(1)),
    u16: () => view.getUint16(take(2), true),
    i16: () => view.getInt16(take(2), true),
    u32: () => view.getUint32(take(4), true),
    i32: () => view.getInt32(take(4), true),
    f32: () => view.getFloat32(take(4), true),
    f64: () => view.getFloat64(take(8), true),
    u64: () => exact(view.getBigUint64(take(8), true)),
    i64: () => exact(view.getBigInt64(take(8), true)),
    text(length) {
      const start = take(length)
      return decoder.decode(bytes.subarray(start, start + length))
    },
  }
}

const exact = (value: bigint): number | bigint => {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
