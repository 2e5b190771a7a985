// Products straight from codes: a few rows are decoded to float blocks, multiplied, and forgotten.
import { arg, share } from './job'
import { floatRows } from './f32'
import { indexOf } from './integer'
import { codesRow, inLanes, stepPattern, trellisBand } from './packed-one'

/** Rows decoded at a time: two bands of trellis tiles would not fit the fastest cache. */
const PANEL: i32 = 16

/** Float of element (r, c) of a panel in blocks of 4 rows × 4 columns. */
// @ts-expect-error: decorator
@inline
function panelAt(panel: usize, r: i32, c: i32, stride: i32): usize {
  return panel + ((<usize>(r & ~3) * stride + (<usize>(c & ~3) << 2) + (<usize>(r & 3) << 2) + (c & 3)) << 2)
}

/** `bits` bits from bit `at` on, lowest first; reads up to 3 bytes further. */
// @ts-expect-error: decorator
@inline
function codeAt(codes: usize, at: u32, bits: u32): u32 {
  return (load<u32>(codes + (at >> 3)) >> (at & 7)) & ((1 << bits) - 1)
}

/**
 * Vectors of `dim` columns that share a code: `scale[r, g] · (table[code, i] − shift[r, g])`. `codes` has `codeBytes`
 * bytes per row. Arguments: x, ldx, y, ldy, tokens, rows, cols, accumulate, panel (floats per thread: 16 · cols),
 * codes, code bytes, bits, dim, table, scales, shifts (0: none), columns of a group.
 */
export function matmulCodesPart(part: i32, parts: i32): void {
  const rows = arg(5)
  const cols = arg(6)
  if (arg(4) === 1 && (arg(15) === 0 || (arg(12) & 3) !== 0)) {
    const end = share(rows, part + 1, parts)
    for (let r = share(rows, part, parts); r < end; r++) codesRow(r)
    return
  }
  const panel = <usize>arg(8) + (<usize>(part * PANEL * cols) << 2)
  const panels = (rows + PANEL - 1) / PANEL
  const last = share(panels, part + 1, parts)
  for (let p = share(panels, part, parts); p < last; p++) {
    const from = p * PANEL
    const count = min(PANEL, rows - from)
    for (let r = 0; r < count; r++) decodeCodes(panel, r, from + r, cols)
    multiply(panel, from, count, cols)
  }
}

function multiply(panel: usize, from: i32, count: i32, cols: i32): void {
  floatRows(
    panel, <usize>cols << 2, count, <usize>arg(0), <usize>arg(1) << 2,
    <usize>arg(2) + (<usize>from << 2), <usize>arg(3) << 2, arg(4), 1, arg(7) !== 0,
  )
}

function decodeCodes(panel: usize, r: i32, row: i32, cols: i32): void {
  const codes = <usize>arg(9) + <usize>row * arg(10)
  const bits = <u32>arg(11)
  const dim = arg(12)
  const table = <usize>arg(13)
  const group = arg(16)
  const perRow = cols / group
  let scale = <usize>arg(14) + (<usize>(row * perRow) << 2)
  let shift = arg(15) === 0 ? 0 : <usize>arg(15) + (<usize>(row * perRow) << 2)
  let bit: u32 = 0
  for (let g = 0; g < cols; g += group) {
    const s = load<f32>(scale)
    const z = shift === 0 ? <f32>0 : load<f32>(shift)
    scale += 4
    if (shift !== 0) shift += 4
    for (let c = g; c < g + group; c += dim) {
      const vector = table + (<usize>codeAt(codes, bit, bits) * dim << 2)
      bit += bits
      for (let i = 0; i < dim; i++) {
        store<f32>(panelAt(panel, r, c + i, cols), s * (load<f32>(vector + (<usize>i << 2)) - z))
      }
    }
  }
}

/**
 * One segment of a trellis code (see `trellis-tiles.ts`): bands of 16 rows. Arguments: x, ldx, y, ldy, tokens, rows,
 * cols (of the segment), accumulate, panel (floats per thread: 16 · cols), words, four times the bits, state bits, table, scales, 1
 * where every row has its own.
 */
export function matmulTrellisPart(part: i32, parts: i32): void {
  const rows = arg(5)
  const cols = arg(6)
  if (arg(4) === 1 && inLanes(rows, cols)) {
    const bands = (rows + 63) >> 6
    const end = share(bands, part + 1, parts)
    for (let b = share(bands, part, parts); b < end; b++) trellisBand(b, <usize>arg(8) + (<usize>part << 8))
    return
  }
  const stride = (cols + 3) & ~3
  const panel = <usize>arg(8) + (<usize>(part * PANEL * stride) << 2)
  const panels = (rows + PANEL - 1) / PANEL
  const last = share(panels, part + 1, parts)
  for (let p = share(panels, part, parts); p < last; p++) {
    decodeTiles<f32>(panel, stride, 0, p, panels, cols)
    multiply(panel, p * PANEL, min(PANEL, rows - p * PANEL), stride)
  }
}

/**
 * Tile row `tileRow` of a trellis segment: to floats times their scales in a panel, or to bytes in rows and columns
 * `firstCol …` of blocked integer weights. Arguments as of `matmulTrellisPart`.
 */
function decodeTiles<T>(out: usize, stride: i32, firstCol: i32, tileRow: i32, tileRows: i32, cols: i32): void {
  const rate = arg(10)
  const steps = stepPattern(rate)
  const stateBits = arg(11)
  const table = <usize>arg(12)
  const scales = <usize>arg(13)
  const rowScales = arg(14) !== 0
  const height = min(16, arg(5) - (tileRow << 4))
  const words = rate << 1
  const lane = tileRow & 3
  const lanes = min(4, tileRows - (tileRow & ~3))
  const band = <usize>arg(9) + (<usize>((tileRow & ~3) * ((cols + 15) >> 4) * words) << 2)
  const mask = (1 << stateBits) - 1
  for (let left = 0; left < cols; left += 16) {
    const first = band + (<usize>((left >> 4) * lanes * words + lane) << 2)
    const step = <usize>lanes << 2
    // The state before the first weight is the end of the stream.
    let window = <u64>load<u32>(first + <usize>(words - 1) * step)
    let word = first
    let have = 0
    const width = min(16, cols - left)
    for (let r = 0; r < height; r++) {
      const row = (tileRow << 4) + r
      const scale = isFloat<T>() ? load<f32>(scales + (rowScales ? <usize>row << 2 : 0)) : <f32>0
      for (let c = 0; c < 16; c++) {
        const bits = (steps >> ((c & 3) << 3)) & 255
        if (have < bits) {
          window = (window << 32) | load<u32>(word)
          word += step
          have += 32
        }
        have -= bits
        if (c >= width) continue
        const state = <usize>((<i32>(window >> have)) & mask)
        if (isFloat<T>()) store<f32>(panelAt(out, r, left + c, stride), scale * load<f32>(table + (state << 2)))
        else store<i8>(out + indexOf(row, firstCol + left + c, stride), load<i8>(table + state))
      }
    }
  }
}

/**
 * A trellis segment whose values are bytes, to columns `firstCol …` of blocked integer weights. Arguments: w, stride,
 * first column; 5, 6 and 9 to 12 as of `matmulTrellisPart`, the table in bytes.
 */
export function expandTrellisPart(part: i32, parts: i32): void {
  const tileRows = (arg(5) + 15) >> 4
  const last = share(tileRows, part + 1, parts)
  for (let t = share(tileRows, part, parts); t < last; t++) {
    decodeTiles<i8>(<usize>arg(0), arg(1), arg(2), t, tileRows, arg(6))
  }
}
