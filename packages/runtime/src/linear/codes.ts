import { normalfloatLevels } from '@reallm/kernels/inference'
import { type EncodedMatrix, packedBytes, toFloat32, unpackBits } from '@reallm/tensor-io'
import { type Engine, integerStride } from '../engine.ts'
import { exactBytes, fillFromRows } from './integer.ts'
import type { Linear } from './linear.ts'
import type { StoredRows } from './stored-rows.ts'

/** Columns a panel has rows of; see the kernel. */
const PANEL_ROWS = 16

/** One code per vector of `dim` columns: `W = scale[r, g] · (table[code, i] − shift[r, g])`. */
export interface CodedMatrix {
  readonly shape: readonly [rows: number, cols: number]
  readonly codes: Uint8Array
  readonly bits: number
  readonly dim: number
  /** `[2^bits, dim]`. */
  readonly table: Float32Array
  /** `[rows, cols / group]`. */
  readonly scales: Float32Array
  readonly shifts?: Float32Array
  readonly group: number
}

/** The stored form of `grid`, `normalfloat` and `kmeans` in those terms; undefined where it has none. */
export function codedMatrix(e: EncodedMatrix): CodedMatrix | undefined {
  const [rows, cols] = e.shape
  const params = e.params as { bits: number; dim?: number; symmetric?: boolean; permute?: boolean }
  const { bits } = params
  const codes = e.parts.codes?.data as Uint8Array
  const scaled = () => ({ scales: storedScales(e), group: cols / (e.parts.scales.shape[1] ?? 1) })
  switch (e.codec) {
    case 'grid': {
      const table = Float32Array.from(
        { length: 2 ** bits },
        (_, i) => i - (params.symmetric ? (2 ** bits - 1) / 2 : 0),
      )
      const { scales, group } = scaled()
      const zeros = e.parts.zeros && unpackRows(e.parts.zeros.data as Uint8Array, rows, cols / group, bits)
      return { shape: e.shape, codes, bits, dim: 1, table, scales, group, ...(zeros && { shifts: zeros }) }
    }
    case 'normalfloat':
      return { shape: e.shape, codes, bits, dim: 1, table: normalfloatLevels(bits), ...scaled() }
    case 'kmeans': {
      const dim = params.dim ?? 1
      if (params.permute || cols % dim !== 0) return undefined
      const table = toFloat32(e.parts.codebook)
      const whole = e.parts.scales ? scaled() : { scales: new Float32Array(rows).fill(1), group: cols }
      return { shape: e.shape, codes, bits: bits * dim, dim, table, ...whole }
    }
    default:
      return undefined
  }
}

/** Decodes a few rows at a time. */
export function codedRows(m: CodedMatrix): StoredRows {
  const [, cols] = m.shape
  const { bits, dim, table, scales, shifts, group } = m
  const perRow = cols / group
  const rowBytes = packedBytes(cols / dim, bits)
  return (from, to, out) => {
    for (let r = from, at = 0; r < to; r++) {
      const codes = unpackBits(m.codes.subarray(r * rowBytes, (r + 1) * rowBytes), bits, cols / dim)
      for (let c = 0; c < cols; c++, at++) {
        const g = r * perRow + Math.floor(c / group)
        out[at] = scales[g] * (table[codes[Math.floor(c / dim)] * dim + (c % dim)] - (shifts ? shifts[g] : 0))
      }
    }
  }
}

/** The matrix as one-byte integers without loss, where its levels are whole or half numbers (uniform grids). */
export function exactCodes(engine: Engine, m: CodedMatrix): Linear | undefined {
  const { table, group, scales, shifts } = m
  const [, cols] = m.shape
  const whole = table.every(v => Number.isInteger(2 * v) && Math.abs(2 * v) <= 127)
  const aligned = group % 16 === 0 || group === cols
  if (!whole || !aligned || m.dim !== 1 || (shifts && table.length > 64)) return undefined
  const perRow = cols / group
  const doubled = { ...m, table: table.map(v => 2 * v), scales: new Float32Array(scales.length).fill(1) }
  const rows = codedRows(shifts ? { ...doubled, shifts: shifts.map(v => 2 * v) } : doubled)
  const scaleAt = (r: number, c: number) =>
    scales[r * perRow + Math.min(perRow - 1, Math.floor(c / group))] / 2
  const fill = fillFromRows(engine, m.shape, rows)
  return exactBytes(engine, m.shape, fill, scaleAt, perRow === 1 ? integerStride(cols) : group)
}

/** Products straight from the codes, which are copied: `m` is not held. */
export function codedLinear(engine: Engine, m: CodedMatrix): Linear {
  const { kernels, arena } = engine
  const { shape, bits, dim, group } = m
  const [rows, cols] = shape
  const rowBytes = packedBytes(cols / dim, bits)
  const [codeBytes, levels, scaleCount] = [m.codes.byteLength, m.table.length, m.scales.length]
  // the kernel reads a code's word, up to three bytes further
  const codes = arena.allocate(codeBytes + 4)
  arena.bytes(codes, codeBytes).set(m.codes)
  const table = engine.upload(m.table)
  const scales = engine.upload(m.scales)
  const shifts = m.shifts ? engine.upload(m.shifts) : 0
  const inMemory = (): CodedMatrix => ({
    ...{ shape, bits, dim, group },
    codes: arena.bytes(codes, codeBytes),
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
      codedRows(inMemory())(index, index + 1, oneRow)
      arena.floats(out, cols).set(factor === 1 ? oneRow : oneRow.map(w => w * factor))
    },
    free() {
      for (const at of [codes, table, scales]) arena.free(at)
      if (shifts !== 0) arena.free(shifts)
    },
  }
}

/** Scales of groups in float32; `double` ones are 8-bit codes with an offset and a step for every 256. */
function storedScales(e: EncodedMatrix): Float32Array {
  const { scales, scaleBlocks } = e.parts
  if (scales.dtype !== 'U8') return toFloat32(scales)
  const blocks = scaleBlocks.data as Float32Array
  return Float32Array.from(scales.data as Uint8Array, (code, i) => {
    const b = 2 * Math.floor(i / 256)
    return blocks[b] + code * blocks[b + 1]
  })
}

function unpackRows(packed: Uint8Array, rows: number, perRow: number, bits: number): Float32Array {
  const rowBytes = packedBytes(perRow, bits)
  const out = new Float32Array(rows * perRow)
  for (let r = 0; r < rows; r++) {
    out.set(unpackBits(packed.subarray(r * rowBytes, (r + 1) * rowBytes), bits, perRow), r * perRow)
  }
  return out
}
