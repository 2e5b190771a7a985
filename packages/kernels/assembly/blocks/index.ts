// Products with matrices in GGUF's blocks, beside the module `inference` and on its memory: its threads call `execute`
// for operations which that does not know. No data of its own lies in the memory.
import { other, run } from '../inference/beside'
import { put } from '../inference/job'
import { matmulExpandedPart } from './expanded'
import { matmulBlocksPart } from './product'

export { expandBlocks, expandedRow } from './expand'
export { groupSums } from './product'

/** The numbers of its operations, beyond those of `inference`. */
const MATMUL_BLOCKS: i32 = 32
const MATMUL_EXPANDED: i32 = 33

export function execute(operation: i32, part: i32, parts: i32, thread: i32): void {
  if (operation === MATMUL_BLOCKS) matmulBlocksPart(part, parts, thread)
  else if (operation === MATMUL_EXPANDED) matmulExpandedPart(part, parts, thread)
  else other(operation, part, parts, thread)
}

export function matmulBlocks(
  type: i32, blocks: usize, rowBytes: i32, x: usize, xScales: usize, sums: usize, y: usize, rows: i32, cols: i32,
  group: i32, tokens: i32, ldy: i32, accumulate: i32, panel: usize, table: usize,
): void {
  put(0, type)
  put(1, blocks)
  put(2, rowBytes)
  put(3, x)
  put(4, xScales)
  put(5, sums)
  put(6, y)
  put(7, rows)
  put(8, cols)
  put(9, group)
  put(10, tokens)
  put(11, ldy)
  put(12, accumulate)
  put(13, panel)
  put(14, table)
  run(MATMUL_BLOCKS, <i64>rows * cols * tokens)
}

export function matmulExpanded(
  w: usize, bits: i32, x: usize, xScales: usize, sums: usize, y: usize, rows: i32, cols: i32, group: i32, tokens: i32, ldy: i32,
  accumulate: i32, scratch: usize,
): void {
  put(0, w)
  put(1, bits)
  put(2, x)
  put(3, xScales)
  put(4, sums)
  put(5, y)
  put(6, rows)
  put(7, cols)
  put(8, group)
  put(9, tokens)
  put(10, ldy)
  put(11, accumulate)
  put(12, scratch)
  run(MATMUL_EXPANDED, <i64>rows * cols * tokens)
}
