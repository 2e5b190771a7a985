// Products of several tokens with a trellis code: four rows at a time become bytes, which all tokens are multiplied by.
import { fourRows } from '../inference/integer'
import { arg, share } from '../inference/job'
import { decodeQuad } from '../inference/trellis'

/**
 * Arguments: codes, scales, x, xScales, y, rows, columns (a multiple of 16), group, tokens, floats between tokens of y,
 * accumulate (0 to 10 as of `matmulIntegerPart`), values between tokens of x, bytes of a row of tiles, rates, tables, state
 * bits, scratch, its bytes per thread (4 · columns + 32).
 */
export function severalTokensPart(part: i32, parts: i32, thread: i32): void {
  const rows = arg(5)
  const columns = arg(6)
  const group = arg(7)
  const groups = <usize>((columns + group - 1) / group) << 2
  const scratch = <usize>arg(16) + <usize>(thread * arg(17))
  const quads = (rows + 3) >> 2
  const last = share(quads, part + 1, parts)
  for (let q = share(quads, part, parts); q < last; q++) {
    decodeQuad(scratch, arg(0), arg(12), arg(13), columns >> 4, arg(14), arg(15), q, scratch + (columns << 2))
    const row = <usize>q << 2
    fourRows<i8>(
      scratch, columns, <usize>arg(1) + row * groups, groups, group, arg(2), <usize>arg(11) << 1, arg(3),
      <usize>arg(4) + (row << 2), <usize>arg(9) << 2, rows - (q << 2), arg(8), arg(10) !== 0,
    )
  }
}
