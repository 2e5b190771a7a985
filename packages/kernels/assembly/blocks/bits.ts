// How blocks hold scales, and 16 weights a vector. Shifts are of 16 bits, which take one instruction; masks drop what crosses bytes.

/** The half float at `at`. */
// @ts-expect-error: decorator
@inline
export function half(at: usize): f32 {
  return halfOf(load<u16>(at))
}

/** The half float of 16 bits; an infinite one is no number either. */
export function halfOf(bits: u32): f32 {
  if ((bits & 0x7c00) === 0x7c00) return NaN
  // sign, exponent and fraction in their places, times 2^112 for the exponents' other bias
  return reinterpret<f32>(((bits & 0x8000) << 16) | ((bits & 0x7fff) << 13)) * reinterpret<f32>(0x77800000)
}

/** The two bits of 16 weights, `shift` bits from the right of their bytes. */
// @ts-expect-error: decorator
@inline
export function crumbs(at: usize, shift: i32): v128 {
  return v128.and(i16x8.shr_u(v128.load(at), shift), i8x16.splat(3))
}

/** The four bits of 16 weights, `shift` bits from the right of their bytes. */
// @ts-expect-error: decorator
@inline
export function nibbles(at: usize, shift: i32): v128 {
  return v128.and(i16x8.shr_u(v128.load(at), shift), i8x16.splat(15))
}

/** Bit `bit` of 16 bytes, moved left by `places`. */
// @ts-expect-error: decorator
@inline
export function bitAt(at: usize, bit: i32, places: i32): v128 {
  const one = v128.and(i16x8.shr_u(v128.load(at), bit), i8x16.splat(1))
  return i16x8.shl(one, places)
}

/** All bits of byte i set where bit i of the lower 16 is. */
// @ts-expect-error: decorator
@inline
export function spread(bits: u32): v128 {
  const word = i32x4.splat(<i32>bits)
  const bytes = v128.shuffle<u8>(word, word, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)
  const one = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128)
  return i8x16.eq(v128.and(bytes, one), one)
}
