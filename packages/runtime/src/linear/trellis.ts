import {
  networkTable,
  networkWeights,
  type Pointer,
  TILE,
  type TrellisLayout,
  trellisSegments,
  trellisTable,
  unpackTile,
} from '@reallm/kernels/inference'
import { type EncodedMatrix, f16ToF32, toFloat32 } from '@reallm/tensor-io'
import { type Engine, integerStride } from '../engine.ts'
import { exactBytes } from './integer.ts'
import type { Linear } from './linear.ts'
import type { StoredRows } from './stored-rows.ts'

/** Columns coded at the same rate. */
interface Segment {
  readonly bits: number
  readonly from: number
  readonly to: number
  readonly layout: TrellisLayout
  readonly words: Uint32Array
  readonly table: Float32Array
}

/** A bit-shift trellis code as it is stored. */
export interface TrellisMatrix {
  readonly shape: readonly [rows: number, cols: number]
  readonly stateBits: number
  readonly segments: readonly Segment[]
  /** One, or one for each row. */
  readonly scales: Float32Array
}

/** 8-bit values of trained tables are multiples of this. */
const TABLE_STEP = 1 / 32

export function trellisMatrix(e: EncodedMatrix): TrellisMatrix {
  const { stateBits } = e.params as TrellisCode
  const [rows, cols] = e.shape
  const codes = e.parts.codes.data as Uint32Array
  const segments = trellisSegments(rows, cols, e.parts.rates.data as Uint8Array).map(segment => ({
    ...segment,
    table: tableOf(e, segment.bits),
    words: codes.subarray(segment.firstWord, segment.firstWord + segment.layout.words),
  }))
  return { shape: e.shape, stateBits, segments, scales: toFloat32(e.parts.scales) }
}

interface TrellisCode {
  readonly stateBits: number
  readonly values: 'gauss' | 'hash' | 'trained' | 'network'
}

/** The values of the states of one segment. */
function tableOf(e: EncodedMatrix, bits: number): Float32Array {
  const { stateBits, values } = e.params as TrellisCode
  if (values === 'gauss' || values === 'hash') return trellisTable(values, stateBits, bits)
  if (values === 'trained') {
    const stored = e.parts[`table${bits}`]
    return toFloat32(stored).map(v => (stored.dtype === 'I8' ? v * TABLE_STEP : v))
  }
  const codes = e.parts[`network${bits}`].data as Int8Array
  const steps = f16ToF32(e.parts[`networkSteps${bits}`].data as Uint16Array)
  return networkTable(stateBits, bits, networkWeights(codes, steps, stateBits))
}

/** Decodes a few rows at a time. */
export function trellisRows(m: TrellisMatrix): StoredRows {
  const [, cols] = m.shape
  const states = new Uint16Array(TILE * TILE)
  return (from, to, out) => {
    for (const { layout, words, table, from: left, to: right } of m.segments) {
      for (let tileRow = Math.floor(from / TILE); tileRow * TILE < to; tileRow++) {
        const first = Math.max(from, tileRow * TILE)
        const last = Math.min(to, (tileRow + 1) * TILE)
        for (let tileCol = 0; tileCol < layout.tileCols; tileCol++) {
          unpackTile(words, layout, tileRow, tileCol, m.stateBits, states)
          const at = left + tileCol * TILE
          const width = Math.min(TILE, right - at)
          for (let r = first; r < last; r++) {
            const scale = m.scales[m.scales.length > 1 ? r : 0]
            const path = (r - tileRow * TILE) * TILE
            for (let c = 0; c < width; c++) out[(r - from) * cols + at + c] = scale * table[states[path + c]]
          }
        }
      }
    }
  }
}

/**
 * The matrix as one-byte integers without loss, where its tables hold multiples of one step, at most 127 of them;
 * undefined otherwise.
 */
export function exactTrellis(engine: Engine, m: TrellisMatrix): Linear | undefined {
  const [rows, cols] = m.shape
  const step = commonStep(m.segments.map(({ table }) => table))
  if (step === undefined) return undefined
  const fill = (w: Pointer, stride: number) => {
    for (const { bits, words, table, from, to } of m.segments) {
      const stored = upload(engine, words)
      const values = Int8Array.from(table, v => Math.round(v / step))
      const bytes = engine.arena.allocate(values.length)
      engine.arena.bytes(bytes, values.length).set(new Uint8Array(values.buffer))
      engine.kernels.expandTrellis(stored, bits, m.stateBits, bytes, rows, to - from, w, stride, from)
      engine.arena.free(bytes)
      engine.arena.free(stored)
    }
  }
  const scaleAt = (r: number) => step * m.scales[m.scales.length > 1 ? r : 0]
  return exactBytes(engine, m.shape, fill, scaleAt, integerStride(cols))
}

/** The largest step that all values of all tables are whole multiples of, up to 127 times. */
function commonStep(tables: readonly Float32Array[]): number | undefined {
  const largest = Math.max(...tables.map(values => values.reduce((top, v) => Math.max(top, Math.abs(v)), 0)))
  for (let count = 127; count >= 1; count--) {
    const step = largest / count
    const fits = (v: number) => Math.abs(v / step - Math.round(v / step)) < 1e-3
    if (tables.every(values => values.every(fits))) return step
  }
  return undefined
}

/** Products straight from the trellis, whose words are copied: `m` is not held. */
export function trellisLinear(engine: Engine, m: TrellisMatrix): Linear {
  const { kernels, arena } = engine
  const { shape, stateBits } = m
  const [rows, cols] = shape
  const scaleCount = m.scales.length
  const scales = engine.upload(m.scales)
  const stored = m.segments.map(({ words, table, bits, from, to, layout }) => ({
    ...{ bits, from, to, layout, wordCount: words.length, levels: table.length },
    words: upload(engine, words),
    table: engine.upload(table),
  }))
  const inMemory = (): TrellisMatrix => ({
    ...{ shape, stateBits },
    scales: arena.floats(scales, scaleCount),
    segments: stored.map(({ words, table, wordCount, levels, ...segment }) => ({
      ...segment,
      words: new Uint32Array(arena.memory.buffer, words, wordCount),
      table: arena.floats(table, levels),
    })),
  })
  const oneRow = new Float32Array(cols)

  return {
    rows,
    cols,
    multiplyAdds: rows * cols,
    bytes: 4 * stored.reduce((sum, { wordCount, levels }) => sum + wordCount + levels, scaleCount),
    apply(x, y, ldy, tokens, accumulate) {
      const panel = engine.scratchBytes('panel', 4 * TILE * (cols + 4) * engine.inference.threads)
      for (const [s, { words, table, bits, from, to }] of stored.entries()) {
        const add = accumulate || s > 0 ? 1 : 0
        const sizes = [ldy, tokens, rows, to - from, add] as const
        const code = [words, bits, stateBits, table, scales, scaleCount > 1 ? 1 : 0] as const
        kernels.matmulTrellis(x.at + 4 * from, x.width, y, ...sizes, panel, ...code)
      }
    },
    row(index, out, factor) {
      trellisRows(inMemory())(index, index + 1, oneRow)
      arena.floats(out, cols).set(factor === 1 ? oneRow : oneRow.map(w => w * factor))
    },
    free() {
      arena.free(scales)
      for (const { words, table } of stored) {
        arena.free(words)
        arena.free(table)
      }
    },
  }
}

function upload(engine: Engine, words: Uint32Array): Pointer {
  const at = engine.arena.allocate(words.byteLength)
  engine.arena
    .bytes(at, words.byteLength)
    .set(new Uint8Array(words.buffer, words.byteOffset, words.byteLength))
  return at
}
