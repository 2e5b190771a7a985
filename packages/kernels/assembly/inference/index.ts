// Inference on weights that live in this memory. The host allocates; every pointer is a byte address, a multiple
// of 16; widths are multiples of 4 floats. Helper threads instantiate the same module on the same memory and call
// `work`. Operations named `…Part` run on all threads, each on its share.
import { attentionPart } from './attention'
import { matmulFloatPart } from './f32'
import { matmulIntegerPart } from './integer'
import { awaitShare, currentOperation, currentParts, finished, first, MOST_SHARES, next, put, tellHelpers } from './job'
import { matmulCodesPart } from './packed'
import { gatePart, multiplyRowsPart, rmsNormPart, ropePart } from './ops'
import { pagedAttentionPart } from './paged-attention'
import { quantiseActivationsPart, quantiseWeightsPart } from './quantise'
import { recurrencePart } from './recurrence'
import { expandTrellisPart } from './trellis'
import { rotatePart } from './transform'

export { floatRow, packFloats } from './f32'
export { integerRow, packBytes } from './quantise'
export { setThreads } from './job'
export { addBias, addInPlace, addScaled, copy } from './ops'
export { appendToPages, pagedScratch } from './paged-attention'

const STOP: i32 = 0
const MATMUL_INTEGER: i32 = 1
const MATMUL_FLOAT: i32 = 2
const QUANTISE_ACTIVATIONS: i32 = 3
const QUANTISE_WEIGHTS: i32 = 4
const RMS_NORM: i32 = 5
const GATE: i32 = 6
const ROPE: i32 = 7
const ATTENTION: i32 = 8
const ROTATE: i32 = 9
const MATMUL_CODES: i32 = 10
const EXPAND_TRELLIS: i32 = 11
const PAGED_ATTENTION: i32 = 12
const RECURRENCE: i32 = 13
const MULTIPLY_ROWS: i32 = 14

/** Operations of other modules on this memory, which all threads have loaded. */
// @ts-expect-error: decorator
@external("env", "other")
declare function other(operation: i32, part: i32, parts: i32, thread: i32): void

function execute(operation: i32, part: i32, parts: i32, thread: i32): void {
  switch (operation) {
    case MATMUL_INTEGER:
      return matmulIntegerPart(part, parts)
    case MATMUL_FLOAT:
      return matmulFloatPart(part, parts)
    case QUANTISE_ACTIVATIONS:
      return quantiseActivationsPart(part, parts)
    case QUANTISE_WEIGHTS:
      return quantiseWeightsPart(part, parts)
    case RMS_NORM:
      return rmsNormPart(part, parts)
    case GATE:
      return gatePart(part, parts)
    case ROPE:
      return ropePart(part, parts)
    case ATTENTION:
      return attentionPart(part, parts, thread)
    case ROTATE:
      return rotatePart(part, parts, thread)
    case MATMUL_CODES:
      return matmulCodesPart(part, parts, thread)
    case EXPAND_TRELLIS:
      return expandTrellisPart(part, parts, thread)
    case PAGED_ATTENTION:
      return pagedAttentionPart(part, parts, thread)
    case RECURRENCE:
      return recurrencePart(part, parts)
    case MULTIPLY_ROWS:
      return multiplyRowsPart(part, parts)
    default:
      return other(operation, part, parts, thread)
  }
}

/** Runs an operation whose arguments are in place; `work` is about how many multiplications it takes. */
export function run(operation: i32, work: i64): void {
  for (let part = first(operation, work, MOST_SHARES); part >= 0; part = next()) execute(operation, part, currentParts(), 0)
}

/** The loop of helper thread number `thread`; returns when `stop` is called. */
export function work(thread: i32): void {
  for (;;) {
    const part = awaitShare()
    const operation = currentOperation()
    if (operation !== STOP) execute(operation, part, currentParts(), thread)
    finished()
    if (operation === STOP) return
  }
}

/** Ends the helper threads; others may start afterwards. */
export function stop(): void {
  tellHelpers(STOP)
}

export function matmulInteger(
  w: usize,
  scales: usize,
  x: usize,
  xScales: usize,
  y: usize,
  rows: i32,
  stride: i32,
  group: i32,
  tokens: i32,
  ldy: i32,
  accumulate: i32,
  bytes: i32,
): void {
  put(0, w)
  put(1, scales)
  put(2, x)
  put(3, xScales)
  put(4, y)
  put(5, rows)
  put(6, stride)
  put(7, group)
  put(8, tokens)
  put(9, ldy)
  put(10, accumulate)
  put(11, bytes)
  run(MATMUL_INTEGER, <i64>rows * stride * tokens)
}

export function matmulFloat(
  w: usize,
  x: usize,
  ldx: i32,
  y: usize,
  ldy: i32,
  rows: i32,
  stride: i32,
  tokens: i32,
  accumulate: i32,
  factor: f32,
): void {
  put(0, w)
  put(1, x)
  put(2, ldx)
  put(3, y)
  put(4, ldy)
  put(5, rows)
  put(6, stride)
  put(7, tokens)
  put(8, accumulate)
  put(9, factor)
  run(MATMUL_FLOAT, <i64>rows * stride * tokens)
}

export function quantiseActivations(
  x: usize,
  ldx: i32,
  out: usize,
  scales: usize,
  tokens: i32,
  cols: i32,
  stride: i32,
): void {
  put(0, x)
  put(1, ldx)
  put(2, out)
  put(3, scales)
  put(4, tokens)
  put(5, cols)
  put(6, stride)
  run(QUANTISE_ACTIVATIONS, <i64>8 * tokens * cols)
}

export function quantiseWeights(
  x: usize,
  out: usize,
  scales: usize,
  rows: i32,
  cols: i32,
  stride: i32,
  group: i32,
  firstRow: i32,
  bytes: i32,
): void {
  put(0, x)
  put(1, out)
  put(2, scales)
  put(3, rows)
  put(4, cols)
  put(5, stride)
  put(6, group)
  put(7, firstRow)
  put(8, bytes)
  run(QUANTISE_WEIGHTS, <i64>rows * cols)
}

export function rmsNorm(x: usize, w: usize, out: usize, rows: i32, width: i32, eps: f32): void {
  put(0, x)
  put(1, w)
  put(2, out)
  put(3, rows)
  put(4, width)
  put(5, eps)
  run(RMS_NORM, <i64>8 * rows * width)
}

export function gate(gates: usize, up: usize, count: i32, kind: i32): void {
  put(0, gates)
  put(1, up)
  put(2, count)
  put(3, kind)
  run(GATE, <i64>count * 8)
}

export function rope(
  x: usize, cos: usize, sin: usize, tokens: i32, heads: i32, headDim: i32, pairs: i32, interleaved: i32,
): void {
  put(0, x)
  put(1, cos)
  put(2, sin)
  put(3, tokens)
  put(4, heads)
  put(5, headDim)
  put(6, pairs)
  put(7, interleaved)
  run(ROPE, <i64>tokens * heads * pairs)
}

export function attention(
  q: usize,
  keys: usize,
  values: usize,
  out: usize,
  tokens: i32,
  heads: i32,
  kvHeads: i32,
  headDim: i32,
  position: i32,
  window: i32,
  scale: f32,
  softcap: f32,
  scores: usize,
  scoresStride: i32,
  sinks: usize,
): void {
  put(0, q)
  put(1, keys)
  put(2, values)
  put(3, out)
  put(4, tokens)
  put(5, heads)
  put(6, kvHeads)
  put(7, headDim)
  put(8, position)
  put(9, window)
  put(10, scale)
  put(11, softcap)
  put(12, scores)
  put(13, scoresStride)
  put(14, sinks)
  run(ATTENTION, <i64>tokens * heads * headDim * (position + tokens))
}

export function pagedAttention(
  q: usize,
  pages: usize,
  out: usize,
  tokens: i32,
  heads: i32,
  kvHeads: i32,
  headDim: i32,
  position: i32,
  window: i32,
  scale: f32,
  softcap: f32,
  scratch: usize,
): void {
  put(0, q)
  put(1, pages)
  put(2, out)
  put(3, tokens)
  put(4, heads)
  put(5, kvHeads)
  put(6, headDim)
  put(7, position)
  put(8, window)
  put(9, scale)
  put(10, softcap)
  put(11, scratch)
  run(PAGED_ATTENTION, <i64>tokens * heads * headDim * (position + tokens))
}

export function multiplyRows(x: usize, w: usize, y: usize, ldy: i32, rows: i32, width: i32, accumulate: i32): void {
  put(0, x)
  put(1, w)
  put(2, y)
  put(3, ldy)
  put(4, rows)
  put(5, width)
  put(6, accumulate)
  run(MULTIPLY_ROWS, <i64>8 * rows * width)
}

export function rotate(
  x: usize, y: usize, ldy: i32, rows: i32, width: i32, signs: usize, isInput: i32, accumulate: i32, factors: usize, count: i32,
  scratch: usize, scratchBytes: i32,
): void {
  put(0, x)
  put(1, y)
  put(2, ldy)
  put(3, rows)
  put(4, width)
  put(5, signs)
  put(6, isInput)
  put(7, accumulate)
  put(8, factors)
  put(9, count)
  put(10, scratch)
  put(11, scratchBytes)
  run(ROTATE, <i64>16 * rows * width)
}

/** The arguments that products from codes have in common. */
function putProduct(
  x: usize, ldx: i32, y: usize, ldy: i32, tokens: i32, rows: i32, cols: i32, accumulate: i32, panel: usize,
): void {
  put(0, x)
  put(1, ldx)
  put(2, y)
  put(3, ldy)
  put(4, tokens)
  put(5, rows)
  put(6, cols)
  put(7, accumulate)
  put(8, panel)
}

export function recurrence(
  x: usize, ldx: i32, valueAt: i32, keyAt: i32, queryAt: i32, matrices: usize, left: usize, write: usize, y: usize,
  tokens: i32, heads: i32, shared: i32, keyDim: i32, valueDim: i32, isDelta: i32,
): void {
  put(0, x)
  put(1, ldx)
  put(2, valueAt)
  put(3, keyAt)
  put(4, queryAt)
  put(5, matrices)
  put(6, left)
  put(7, write)
  put(8, y)
  put(9, tokens)
  put(10, heads)
  put(11, shared)
  put(12, keyDim)
  put(13, valueDim)
  put(14, isDelta)
  run(RECURRENCE, <i64>2 * tokens * heads * keyDim * valueDim)
}

export function matmulCodes(
  x: usize, ldx: i32, y: usize, ldy: i32, tokens: i32, rows: i32, cols: i32, accumulate: i32, panel: usize,
  codes: usize, codeBytes: i32, bits: i32, dim: i32, table: usize, scales: usize, shifts: usize, group: i32,
): void {
  putProduct(x, ldx, y, ldy, tokens, rows, cols, accumulate, panel)
  put(9, codes)
  put(10, codeBytes)
  put(11, bits)
  put(12, dim)
  put(13, table)
  put(14, scales)
  put(15, shifts)
  put(16, group)
  run(MATMUL_CODES, <i64>rows * cols * tokens)
}

export function expandTrellis(
  codes: usize, rows: i32, cols: i32, rowBytes: i32, rates: usize, tables: usize, stateBits: i32, w: usize,
  scratch: usize,
): void {
  put(0, codes)
  put(1, rows)
  put(2, cols)
  put(3, rowBytes)
  put(4, rates)
  put(5, tables)
  put(6, stateBits)
  put(7, w)
  put(8, scratch)
  run(EXPAND_TRELLIS, <i64>rows * cols)
}
