/** Fields of protocol buffers in their wire format, as ONNX files need them: https://protobuf.dev/programming-guides/encoding */
export type Bytes = Uint8Array<ArrayBuffer>

const text = new TextEncoder()

/** A number in base 128, the lowest digits first. */
function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest >= 128) {
    bytes.push((rest % 128) | 128)
    rest = Math.floor(rest / 128)
  }
  return [...bytes, rest]
}

/** A negative number takes ten bytes, as 64 bits of two's complement. */
function signed(value: number): number[] {
  if (value >= 0) return varint(value)
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  while (rest >= 128n) {
    bytes.push(Number(rest % 128n) | 128)
    rest /= 128n
  }
  return [...bytes, Number(rest)]
}

/** Field `field` of a whole number. */
export const integer = (field: number, value: number): Bytes =>
  Uint8Array.from([...varint(8 * field), ...signed(value)])

/** Field `field` of a 32-bit float. */
export function float(field: number, value: number): Bytes {
  const bytes = new Uint8Array(varint(8 * field).length + 4)
  bytes.set(varint(8 * field + 5))
  new DataView(bytes.buffer).setFloat32(bytes.length - 4, value, true)
  return bytes
}

/** Number and length of field `field`, whose `length` bytes follow. */
export const head = (field: number, length: number): Bytes =>
  Uint8Array.from([...varint(8 * field + 2), ...varint(length)])

/** Field `field` of a text. */
export const string = (field: number, value: string): Bytes => message(field, [text.encode(value)])

/** Field `field` of a message, or of bytes. */
export const message = (field: number, parts: readonly Bytes[]): Bytes => {
  const length = lengthOf(parts)
  return join([head(field, length), ...parts])
}

export const lengthOf = (parts: readonly Bytes[]): number => parts.reduce((sum, part) => sum + part.length, 0)

/** Parts one after the other. */
export function join(parts: readonly Bytes[]): Bytes {
  const all = new Uint8Array(lengthOf(parts))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
