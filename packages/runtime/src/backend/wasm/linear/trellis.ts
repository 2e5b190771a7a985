import { decodeTrellisRows, type TrellisMatrix, trellisMatrix } from '@reallm/kernels/decode/trellis'
import type { Pointer } from '@reallm/kernels/inference'
import { trellisLayout } from '@reallm/tensor-io/layouts/trellis'
import { TILE } from '@reallm/tensor-io/layouts/trellis-tiles'
import { type Engine, integerStride } from '../engine.ts'
import { exactBytes } from './integer.ts'
import type { Linear } from './linear.ts'
import { runner, written } from './runner.ts'

export const trellis = runner(trellisLayout, (engine, e, options) => {
  const m = trellisMatrix(e)
  if (options.form === 'packed') return trellisLinear(engine, m)
  const exact = options.form === 'exact' ? exactTrellis(engine, m) : undefined
  const rows = (from: number, to: number, out: Float32Array) => decodeTrellisRows(m, from, to, out)
  return exact ?? written(engine, e.shape, rows, options)
})

/**
 * The matrix as one-byte integers without loss, where its tables hold multiples of one step, at most 127 of them;
 * undefined otherwise.
 */
function exactTrellis(engine: Engine, m: TrellisMatrix): Linear | undefined {
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
function trellisLinear(engine: Engine, m: TrellisMatrix): Linear {
  const { kernels, arena } = engine
  const { shape, stateBits } = m
  const [rows, cols] = shape
  const scaleCount = m.scales.length
  const scales = engine.upload(m.scales)
  const stored = m.segments.map(({ words, table, ...segment }) => ({
    ...segment,
    ...{ wordCount: words.length, levels: table.length },
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
      decodeTrellisRows(inMemory(), index, index + 1, oneRow)
      arena.floats(out, cols).set(factor === 1 ? oneRow : oneRow.map(w => w * factor))
    },
    dispose() {
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
