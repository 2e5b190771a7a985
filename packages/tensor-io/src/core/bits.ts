import { ReallmError } from './errors.ts'

/** Bytes that `count` codes of `width` bits take. */
export const packedBytes = (count: number, width: number): number => Math.ceil((count * width) / 8)

/**
 * Packs unsigned codes of `width` bits (1–16) without gaps, lowest bit first: code `i` takes the bits
 * `i·width … (i+1)·width − 1`, where bit `n` is bit `n & 7` of byte `n >> 3`. The last byte is filled with zeros.
 *
 * Throws `bad-tensor` when a code needs more bits.
 *
 * @example
 * packBits([1, 2, 3, 4], 3)       // Uint8Array [0b11_010_001, 0b1000]
 */
export function packBits(codes: ArrayLike<number>, width: number): Uint8Array<ArrayBuffer> {
  checkWidth(width)
  const count = codes.length
  const packed = new Uint8Array(packedBytes(count, width))
  let seen = 0
  let buffer = 0
  let filled = 0
  let at = 0
  for (let i = 0; i < count; i++) {
    const code = codes[i]
    seen |= code
    buffer |= code << filled
    filled += width
    while (filled >= 8) {
      packed[at++] = buffer
      buffer >>>= 8
      filled -= 8
    }
  }
  if (filled > 0) packed[at] = buffer
  if (seen >>> width !== 0) {
    throw new ReallmError('bad-tensor', `a code does not fit ${width} bits`, {
      hint: `codes must lie between 0 and ${2 ** width - 1}`,
    })
  }
  return packed
}

/**
 * Reads `count` codes of `width` bits that `packBits` wrote, beginning with code number `from`.
 *
 * Throws `bad-tensor` when `packed` is too short.
 *
 * @example
 * unpackBits(packBits([1, 2, 3, 4], 3), 3, 2, 1)       // Uint16Array [2, 3]
 */
export function unpackBits(
  packed: Uint8Array,
  width: number,
  count: number,
  from = 0,
): Uint16Array<ArrayBuffer> {
  checkWidth(width)
  if (packed.length < packedBytes(from + count, width)) {
    throw new ReallmError(
      'bad-tensor',
      `${from + count} codes of ${width} bits need ${packedBytes(from + count, width)} bytes, got ${packed.length}`,
    )
  }
  const codes = new Uint16Array(count)
  const mask = 2 ** width - 1
  const firstBit = from * width
  let at = Math.floor(firstBit / 8)
  if (width === 8 && count > 0) {
    codes.set(packed.subarray(at, at + count))
    return codes
  }
  const skip = firstBit % 8
  let buffer = skip > 0 ? packed[at++] >>> skip : 0
  let filled = skip > 0 ? 8 - skip : 0
  for (let i = 0; i < count; i++) {
    while (filled < width) {
      buffer |= packed[at++] << filled
      filled += 8
    }
    codes[i] = buffer & mask
    buffer >>>= width
    filled -= width
  }
  return codes
}

function checkWidth(width: number): void {
  if (!Number.isInteger(width) || width < 1 || width > 16) {
    throw new ReallmError('bad-option', `codes cannot have ${width} bits`, { hint: 'use 1 to 16 bits' })
  }
}
