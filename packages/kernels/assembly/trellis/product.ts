// Products of several tokens with a trellis code: a row of tiles at a time becomes bytes, which all tokens are multiplied by.
import { fourRows } from '../inference/integer'
import { arg, share } from '../inference/job'
import { decodeRows } from '../inference/trellis'

/**
 * Arguments: codes, scales, x, xScales, y, rows, columns (a multiple of 16), group, tokens, floats between tokens of y,
 * accumulate (0 to 10 as of `matmulIntegerPart`), values between tokens of x, bytes of a row of tiles, rates, tables, state
 * bits, scratch, its bytes per thread (16 · columns, and those of `decodeRows`).
 */
export function severalTokensPart(part: i32, parts: i32, thread: i32): void {
  const rows = arg(5)
  const columns = arg(6)
  const group = arg(7)
  const groups = <usize>((columns + group - 1) / group) << 2
  const scratch = <usize>arg(16) + <usize>(thread * arg(17))
  const tileRows = (rows + 15) >> 4
  const last = share(tileRows, part + 1, parts)
  for (let r = share(tileRows, part, parts); r < last; r++) {
    const quads = min(4, (rows + 3 - (r << 4)) >> 2)
    decodeRows(
      scratch, arg(0), arg(12), arg(13), columns >> 4, arg(14), arg(15), r, quads, scratch + (columns << 4),
    )
    for (let q = 0; q < quads; q++) {
      const row = (r << 4) + (q << 2)
      fourRows<i8>(
        scratch + ((q * columns) << 2), columns, <usize>arg(1) + <usize>row * groups, groups, group, arg(2),
        <usize>arg(11) << 1, arg(3), <usize>arg(4) + (<usize>row << 2), <usize>arg(9) << 2, rows - row, arg(8),
        arg(10) !== 0,
      )
    }
  }
}
