// Products straight from codes: a few rows are decoded to float blocks, multiplied, and forgotten.
import { arg, share } from './job'
import { floatRows } from './f32'
import { codesRow } from './packed-one'

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
export function matmulCodesPart(part: i32, parts: i32, thread: i32): void {
  const rows = arg(5)
  const cols = arg(6)
  if (arg(4) === 1 && (arg(15) === 0 || (arg(12) & 3) !== 0)) {
    const end = share(rows, part + 1, parts)
    for (let r = share(rows, part, parts); r < end; r++) codesRow(r)
    return
  }
  const panel = <usize>arg(8) + (<usize>(thread * PANEL * cols) << 2)
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
