import { TILE } from '@reallm/tensor-io/layouts/trellis-tiles'
import type { DecodedSegment, TrellisMatrix } from '../decode/trellis.ts'

/** A table of values as whole multiples of a step. */
export interface IntegerTable {
  readonly codes: Int8Array
  readonly step: number
}

/** A matrix of trellis codes as its kernels read it. */
export interface TrellisBlob {
  readonly rows: number
  readonly cols: number
  readonly stateBits: number
  /** One after the other in `tables`. */
  readonly tables: readonly IntegerTable[]
  /** 32-bit words of the blob. */
  readonly words: number
  /** The blob, for a place in a buffer: four words for each tile column, the scales, the codes. */
  write(base: number): Uint32Array<ArrayBuffer>
  /** Of the parts, counted from the blob's beginning, in words. */
  readonly scalesAt: number
  readonly scaleStep: 0 | 1
}

/**
 * Lays a stored matrix out for the kernels; undefined where its values are no multiples of a step, at most 127 of them.
 *
 * A tile column has four words: where its segment's codes begin, tile columns of the segment and (above 16 bits) its own number
 * in it, four times its rate and (above 8 bits) its table, and that table's step.
 */
export function trellisBlob(m: TrellisMatrix): TrellisBlob | undefined {
  const [rows, cols] = m.shape
  const tables: IntegerTable[] = []
  const tableOf = new Map<DecodedSegment, number>()
  for (const segment of m.segments) {
    const table = integerTable(segment.table)
    if (!table) return undefined
    const known = tables.findIndex(other => isSame(other, table))
    tableOf.set(segment, known < 0 ? tables.push(table) - 1 : known)
  }
  const tileColumns = Math.ceil(cols / TILE)
  const scalesAt = 4 * tileColumns
  const codesAt = scalesAt + m.scales.length
  const write = (base: number) => {
    const words = new Uint32Array(codesAt + total)
    const floats = new Float32Array(words.buffer)
    floats.set(m.scales, scalesAt)
    for (const segment of m.segments) {
      const { from, tiles, firstWord, bits } = segment
      words.set(segment.words, codesAt + firstWord)
      const table = tableOf.get(segment)!
      for (let t = 0; t < tiles.tileCols; t++) {
        const at = 4 * (from / TILE + t)
        words[at] = base + codesAt + firstWord
        words[at + 1] = tiles.tileCols | (t << 16)
        words[at + 2] = (4 * bits) | (table << 8)
        floats[at + 3] = tables[table].step
      }
    }
    return words
  }
  const total = m.segments.reduce((sum, { words }) => sum + words.length, 0)
  const scaleStep = m.scales.length > 1 ? 1 : 0
  return { rows, cols, stateBits: m.stateBits, tables, words: codesAt + total, write, scalesAt, scaleStep }
}

const isSame = (a: IntegerTable, b: IntegerTable) =>
  a.step === b.step && a.codes.length === b.codes.length && a.codes.every((code, i) => code === b.codes[i])

/** The largest step that all values are whole multiples of, at most 127 of them. */
function integerTable(values: Float32Array): IntegerTable | undefined {
  const largest = values.reduce((top, v) => Math.max(top, Math.abs(v)), 0)
  for (let count = 127; count >= 1; count--) {
    const step = largest / count
    if (values.every(v => Math.abs(v / step - Math.round(v / step)) < 1e-3)) {
      return { codes: Int8Array.from(values, v => Math.round(v / step)), step }
    }
  }
  return undefined
}
