// Products with trellis codes as they are stored, beside the module `inference` and on its memory: its threads call
// `execute` for operations which that does not know. No data of its own lies in the memory.
import { other, run } from '../inference/beside'
import { put } from '../inference/job'
import { oneTokenPart } from './one-token'
import { severalTokensPart } from './product'

// the numbers of its operations, beyond those of `inference` and `blocks`
const ONE_TOKEN: i32 = 48
const SEVERAL_TOKENS: i32 = 49

export function execute(operation: i32, part: i32, parts: i32, thread: i32): void {
  if (operation === ONE_TOKEN) oneTokenPart(part, parts, thread)
  else if (operation === SEVERAL_TOKENS) severalTokensPart(part, parts, thread)
  else other(operation, part, parts, thread)
}

/** Whether two weights are looked up at once at all of `count` rates. */
function arePairs(rates: usize, count: usize, tables: usize): bool {
  for (const end = rates + count; rates < end; rates++) {
    if (load<u32>(tables + (<usize>load<u8>(rates) << 3), 4) === 0) return false
  }
  return true
}

export function matmulTrellis(
  codes: usize, scales: usize, x: usize, xScales: usize, y: usize, rows: i32, cols: i32, group: i32, tokens: i32,
  ldx: i32, ldy: i32, accumulate: i32, rowBytes: i32, rates: usize, tables: usize, stateBits: i32, scratch: usize,
  scratchBytes: i32,
): void {
  put(0, codes)
  put(1, scales)
  put(2, x)
  put(3, xScales)
  put(4, y)
  put(5, rows)
  put(6, cols)
  put(7, group)
  put(8, tokens)
  put(9, ldy)
  put(10, accumulate)
  put(11, ldx)
  put(12, rowBytes)
  put(13, rates)
  put(14, tables)
  put(15, stateBits)
  put(16, scratch)
  put(17, scratchBytes)
  const isOne = tokens === 1 && group % 16 === 0 && arePairs(rates, cols >> 4, tables)
  const operation = isOne ? ONE_TOKEN : SEVERAL_TOKENS
  run(operation, <i64>rows * cols * tokens)
}
