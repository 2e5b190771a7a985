import { type CodedRows, decodeCodedRows } from '@reallm/tensor-io/layouts/coded-rows'
import { type Engine, integerStride } from '../engine.ts'
import { exactBytes, fillFromRows } from './integer.ts'
import type { Linear } from './linear.ts'
import { type EncodedForm, written } from './runner.ts'
import type { StoredRows } from './stored-rows.ts'

/** Columns a panel has rows of; see the kernel. */
const PANEL_ROWS = 16

/** A matrix with one code per vector: products straight from the codes, whole numbers without loss, or written anew. */
export function coded(engine: Engine, m: CodedRows, options: EncodedForm): Linear {
  if (options.form === 'packed' && multiplies(m)) return codedLinear(engine, m)
  const exact = options.form === 'exact' ? exactCodes(engine, m) : undefined
  return exact ?? written(engine, [m.rows, m.cols], codedRows(m), options)
}

/** Whether the kernel multiplies by such codes: whole vectors, in the order of the columns. */
const multiplies = (m: CodedRows): boolean => m.cols % m.dim === 0 && !m.order

/** Decodes a few rows at a time. */
const codedRows =
  (m: CodedRows): StoredRows =>
  (from, to, out) =>
    decodeCodedRows(m, from, to, out)

/** The matrix as one-byte integers without loss, where its levels are whole or half numbers (uniform grids). */
function exactCodes(engine: Engine, m: CodedRows): Linear | undefined {
  const { rows, cols, table, group, scales, shifts } = m
  const whole = table.every(v => Number.isInteger(2 * v) && Math.abs(2 * v) <= 127)
  const aligned = group % 16 === 0 || group === cols
  if (!whole || !aligned || m.dim !== 1 || (shifts && table.length > 64)) return undefined
  const perRow = cols / group
  const doubled = { ...m, table: table.map(v => 2 * v), scales: new Float32Array(scales.length).fill(1) }
  const decoded = codedRows(shifts ? { ...doubled, shifts: shifts.map(v => 2 * v) } : doubled)
  const scaleAt = (r: number, c: number) =>
    scales[r * perRow + Math.min(perRow - 1, Math.floor(c / group))] / 2
  const fill = fillFromRows(engine, [rows, cols], decoded)
  return exactBytes(engine, [rows, cols], fill, scaleAt, perRow === 1 ? integerStride(cols) : group)
}

/** Products straight from the codes, which are copied: `m` is not held. */
function codedLinear(engine: Engine, m: CodedRows): Linear {
  const { kernels, arena } = engine
  const { rows, cols, bits, dim, group } = m
  const rowBytes = m.codes.shape[1]
  const [codeBytes, levels, scaleCount] = [m.codes.data.byteLength, m.table.length, m.scales.length]
  // the kernel reads a code's word, up to three bytes further
  const codes = arena.allocate(codeBytes + 4)
  arena.bytes(codes, codeBytes).set(m.codes.data)
  const table = engine.upload(m.table)
  const scales = engine.upload(m.scales)
  const shifts = m.shifts ? engine.upload(m.shifts) : 0
  const inMemory = (): CodedRows => ({
    ...{ rows, cols, bits, dim, group },
    codes: { dtype: 'U8', shape: [rows, rowBytes], data: arena.bytes(codes, codeBytes) },
    table: arena.floats(table, levels),
    scales: arena.floats(scales, scaleCount),
    ...(shifts !== 0 && { shifts: arena.floats(shifts, scaleCount) }),
  })
  const oneRow = new Float32Array(cols)

  return {
    rows,
    cols,
    multiplyAdds: rows * cols,
    bytes: codeBytes + 4 * (levels + scaleCount * (shifts === 0 ? 1 : 2)),
    apply(x, y, ldy, tokens, accumulate) {
      const panel = engine.scratchBytes('panel', 4 * PANEL_ROWS * cols * engine.inference.threads)
      const sizes = [ldy, tokens, rows, cols, accumulate ? 1 : 0] as const
      const stored = [codes, rowBytes, bits, dim, table, scales, shifts, group] as const
      kernels.matmulCodes(x.at, x.width, y, ...sizes, panel, ...stored)
    },
    row(index, out, factor) {
      decodeCodedRows(inMemory(), index, index + 1, oneRow)
      arena.floats(out, cols).set(factor === 1 ? oneRow : oneRow.map(w => w * factor))
    },
    dispose() {
      for (const at of [codes, table, scales]) arena.free(at)
      if (shifts !== 0) arena.free(shifts)
    },
  }
}
