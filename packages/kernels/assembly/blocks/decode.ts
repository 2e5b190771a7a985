// Rows of GGUF's blocks, decoded to whole numbers and what they are multiples of:
//   w = scale[group] · code (+ offset[group])
// Every function takes the blocks of a row from `b` to `end`. It writes codes of 16 columns to `out`, the next 16 to
// `out` + 64, and so on (a row of blocked weights, see `integer.ts`); scales one after the other, one for 16 or 32 columns; offsets
// 16 bytes apart.
import { iq1_m, iq1_s, iq2_s, iq2_xs, iq2_xxs, iq3_s, iq3_xxs } from './lattice'
import { iq4_nl, iq4_xs, mxfp4, nvfp4, q1_0, q2_0, q4_0, q4_1, q5_0, q5_1, q8_0 } from './small'
import { q2_K, q3_K, q4_K, q5_K, q6_K, tq1_0, tq2_0 } from './super'

/** Decodes a row of a type, by its number in GGUF files. */
export function decodeRow(
  type: i32, b: usize, end: usize, out: usize, scale: usize, offset: usize, table: usize,
): void {
  switch (type) {
    case 2:
      return q4_0(b, end, out, scale)
    case 3:
      return q4_1(b, end, out, scale, offset)
    case 6:
      return q5_0(b, end, out, scale)
    case 7:
      return q5_1(b, end, out, scale, offset)
    case 8:
      return q8_0(b, end, out, scale)
    case 10:
      return q2_K(b, end, out, scale, offset)
    case 11:
      return q3_K(b, end, out, scale)
    case 12:
      return q4_K(b, end, out, scale, offset)
    case 13:
      return q5_K(b, end, out, scale, offset)
    case 14:
      return q6_K(b, end, out, scale)
    case 16:
      return iq2_xxs(b, end, out, scale, table)
    case 17:
      return iq2_xs(b, end, out, scale, table)
    case 18:
      return iq3_xxs(b, end, out, scale, table)
    case 19:
      return iq1_s(b, end, out, scale, table)
    case 20:
      return iq4_nl(b, end, out, scale)
    case 21:
      return iq3_s(b, end, out, scale, table)
    case 22:
      return iq2_s(b, end, out, scale, table)
    case 23:
      return iq4_xs(b, end, out, scale)
    case 29:
      return iq1_m(b, end, out, scale, table)
    case 34:
      return tq1_0(b, end, out, scale)
    case 35:
      return tq2_0(b, end, out, scale)
    case 39:
      return mxfp4(b, end, out, scale)
    case 40:
      return nvfp4(b, end, out, scale)
    case 41:
      return q1_0(b, end, out, scale)
    case 42:
      return q2_0(b, end, out, scale)
  }
}
