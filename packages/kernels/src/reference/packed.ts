import { type Matrix, unpackBits } from '@reallm/tensor-io'
import type { PackedCodebook, PackedGrid, PackedInt8, PackedTrellis, PackedWeights } from '../packed.ts'
import { TILE, TILE_WEIGHTS, trellisLayout, unpackTile } from '../trellis-layout.ts'
import { hashLut } from '../trellis-lut.ts'

/** Decodes rows `from` to `to` (exclusive) into `out`, scales and low-rank part included. */
export function decodeRows(w: PackedWeights, from: number, to: number, out: Float32Array): void {
  const { cols, group = cols, scales } = w
  if (w.kind === 'grid') gridValues(w, from, to, out)
  else if (w.kind === 'codebook') codebookValues(w, from, to, out)
  else if (w.kind === 'trellis') trellisValues(w, from, to, out)
  else int8Values(w, from, to, out)
  const offsets = w.kind === 'grid' ? w.offsets : undefined
  const perRow = cols / group
  for (let i = from, at = 0; i < to; i++) {
    for (let j = 0; j < cols; j++, at++) {
      const g = i * perRow + Math.floor(j / group)
      out[at] = out[at] * scales[g] + (offsets ? offsets[g] : 0)
    }
  }
  if (w.lowRank) addLowRank(w.lowRank, from, to, out)
}

/** Twin of `packedGemm`: decodes row by row, sums in float64. */
export function packedGemm(w: PackedWeights, x: Matrix, y: Matrix): Matrix {
  const { rows, cols } = w
  const panel = new Float32Array(Math.min(rows, TILE) * cols)
  for (let top = 0; top < rows; top += TILE) {
    const bottom = Math.min(rows, top + TILE)
    decodeRows(w, top, bottom, panel)
    for (let t = 0; t < x.rows; t++) {
      for (let i = top; i < bottom; i++) {
        let sum = 0
        for (let j = 0; j < cols; j++) sum += panel[(i - top) * cols + j] * x.data[t * cols + j]
        y.data[t * rows + i] = sum
      }
    }
  }
  return y
}

function gridValues({ cols, bits, codes, levels }: PackedGrid, from: number, to: number, out: Float32Array) {
  unpackBits(codes, bits, (to - from) * cols, from * cols).forEach((code, i) => {
    out[i] = levels[code]
  })
}

function int8Values({ cols, codes }: PackedInt8, from: number, to: number, out: Float32Array): void {
  out.set(codes.subarray(from * cols, to * cols))
}

function codebookValues(w: PackedCodebook, from: number, to: number, out: Float32Array): void {
  const { cols, bits, codebooks } = w
  const d = codebooks[0].cols
  const vectors = cols / d
  const count = (to - from) * vectors * codebooks.length
  const codes = unpackBits(w.codes, bits, count, from * vectors * codebooks.length)
  out.fill(0, 0, (to - from) * cols)
  for (let v = 0, c = 0; v < (to - from) * vectors; v++) {
    for (const { data } of codebooks) {
      const code = codes[c++]
      for (let l = 0; l < d; l++) out[v * d + l] += data[code * d + l]
    }
  }
}

function trellisValues(w: PackedTrellis, from: number, to: number, out: Float32Array): void {
  const { rows, cols, bits, stateBits, words } = w
  const lut = w.lut ?? hashLut(stateBits)
  const layout = trellisLayout(rows, cols, bits)
  const states = new Uint16Array(TILE_WEIGHTS)
  for (let r = Math.floor(from / TILE); r * TILE < to; r++) {
    for (let c = 0; c < layout.tileCols; c++) {
      unpackTile(words, layout, r, c, stateBits, states)
      for (let t = 0; t < TILE_WEIGHTS; t++) {
        const i = r * TILE + (t >> 4)
        const j = c * TILE + (t & 15)
        if (i >= from && i < to && j < cols) out[(i - from) * cols + j] = lut[states[t]]
      }
    }
  }
}

function addLowRank({ a, b }: { a: Matrix; b: Matrix }, from: number, to: number, out: Float32Array): void {
  const { cols } = b
  for (let i = from; i < to; i++) {
    for (let l = 0; l < a.cols; l++) {
      const factor = a.data[i * a.cols + l]
      for (let j = 0; j < cols; j++) out[(i - from) * cols + j] += factor * b.data[l * cols + j]
    }
  }
}
