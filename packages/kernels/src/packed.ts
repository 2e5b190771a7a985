import { type Matrix, packedBytes, ReallmError, zeroMatrix } from '@reallm/tensor-io'
import { decodeRows, packedGemm as gemmTwin } from './reference/packed.ts'
import { shapeText } from './shapes.ts'
import { checkWords, TILE, trellisLayout } from './trellis-layout.ts'
import { checkStateBits } from './trellis-lut.ts'

/** What all packed weights `[rows, cols]` = `[out, in]` have. */
interface PackedBase {
  readonly rows: number
  readonly cols: number
  /** `[rows, cols / group]`: each scale belongs to `group` neighbouring columns of a row. */
  readonly scales: Float32Array
  /** Columns that share a scale; all of a row by default. */
  readonly group?: number
  /** Added to the decoded weights: A B, A `[rows, r]`, B `[r, cols]`. */
  readonly lowRank?: { readonly a: Matrix; readonly b: Matrix }
}

/** A scalar grid: weight = scale · levels[code] + offset. */
export interface PackedGrid extends PackedBase {
  readonly kind: 'grid'
  /** 1 to 8 bits per code. */
  readonly bits: number
  /** `packBits` of the codes, row after row without gaps. */
  readonly codes: Uint8Array
  /** The 2^bits values of a code: a uniform or any other scalar grid (NormalFloat). */
  readonly levels: Float32Array
  /** `[rows, cols / group]`; none by default. */
  readonly offsets?: Float32Array
}

/** Vector quantisation: weights = scale · Σ_m codebooks[m][code_m], d neighbouring columns at a time. */
export interface PackedCodebook extends PackedBase {
  readonly kind: 'codebook'
  /** Bits per code: log2 of the number of centroids, 1 to 16. */
  readonly bits: number
  /** `packBits` of the codes, `[rows, cols / d, codebooks]` without gaps. */
  readonly codes: Uint8Array
  /** One or more (additive) `[2^bits, d]` codebooks; d divides `cols`. */
  readonly codebooks: readonly Matrix[]
}

/** A bit-shift trellis code: weight = scale · value of the state; layout in `trellis-layout.ts`. */
export interface PackedTrellis extends PackedBase {
  readonly kind: 'trellis'
  /** Bits per weight, 1 to 4. */
  readonly bits: number
  /** L. */
  readonly stateBits: number
  /** What `packTrellis` returns. */
  readonly words: Uint32Array
  /** Value of each state; without it they are computed by the hash (`hashLut(stateBits)`). */
  readonly lut?: Float32Array
}

/** Plain int8: weight = scale · code. */
export interface PackedInt8 extends PackedBase {
  readonly kind: 'int8'
  readonly codes: Int8Array
}

/** A weight matrix as it is stored; products decode it on the way. */
export type PackedWeights = PackedGrid | PackedCodebook | PackedTrellis | PackedInt8

/** The weights as a float32 matrix `[rows, cols]`. */
export function unpackWeights(w: PackedWeights): Matrix {
  checkPacked(w)
  const data = new Float32Array(w.rows * w.cols)
  decodeRows(w, 0, w.rows, data)
  return { rows: w.rows, cols: w.cols, data }
}

/**
 * y = W x straight from the codes.
 *
 * @param x `cols` values
 * @returns `rows` values (`out` when given)
 */
export function packedGemv(w: PackedWeights, x: Float32Array, out?: Float32Array): Float32Array {
  const y = out ?? new Float32Array(w.rows)
  packedGemm(w, { rows: 1, cols: x.length, data: x }, { rows: 1, cols: y.length, data: y })
  return y
}

/**
 * Y = X Wᵀ straight from the codes.
 *
 * @param x `[tokens, cols]`
 * @returns `[tokens, rows]` (`out` when given)
 */
export function packedGemm(w: PackedWeights, x: Matrix, out?: Matrix): Matrix {
  checkPacked(w)
  const y = out ?? zeroMatrix(x.rows, w.rows)
  if (x.cols !== w.cols || y.rows !== x.rows || y.cols !== w.rows) {
    throw new ReallmError(
      'bad-tensor',
      `cannot multiply ${shapeText(x)} by packed weights [${w.rows}, ${w.cols}] into ${shapeText(y)}`,
    )
  }
  return gemmTwin(w, x, y)
}

/** Throws `bad-tensor` when a part's length does not fit the shape, before anything reads it. */
export function checkPacked(w: PackedWeights): void {
  const { rows, cols, group = cols, kind } = w
  const refuse = (what: string): never => {
    throw new ReallmError('bad-tensor', `packed ${kind} weights [${rows}, ${cols}]: ${what}`)
  }
  const expect = (what: string, length: number, wanted: number) => {
    if (length !== wanted) refuse(`${what} needs ${wanted} values, got ${length}`)
  }
  if (cols % group !== 0) refuse(`groups of ${group} do not divide ${cols} columns`)
  expect('scales', w.scales.length, (rows * cols) / group)
  if (w.lowRank) {
    const { a, b } = w.lowRank
    if (a.rows !== rows || b.cols !== cols || a.cols !== b.rows) {
      refuse(`a low-rank part ${shapeText(a)} × ${shapeText(b)} does not fit`)
    }
  }
  if (w.kind === 'int8') {
    expect('codes', w.codes.length, rows * cols)
  } else if (w.kind === 'trellis') {
    checkStateBits(w.stateBits)
    if (group % TILE !== 0 && group !== cols) refuse(`groups of ${group} columns are no multiple of ${TILE}`)
    if (w.lut) expect('the lookup table', w.lut.length, 2 ** w.stateBits)
    checkWords(w.words, trellisLayout(rows, cols, w.bits))
  } else if (w.kind === 'grid') {
    if (!(w.bits >= 1 && w.bits <= 8)) refuse(`codes have 1 to 8 bits, got ${w.bits}`)
    expect('levels', w.levels.length, 2 ** w.bits)
    if (w.offsets) expect('offsets', w.offsets.length, w.scales.length)
    expect('codes (bytes)', w.codes.length, packedBytes(rows * cols, w.bits))
  } else {
    if (!(w.bits >= 1 && w.bits <= 16)) refuse(`codes have 1 to 16 bits, got ${w.bits}`)
    const d = w.codebooks[0]?.cols ?? 0
    if (!(d >= 1) || cols % d !== 0 || group % d !== 0)
      refuse(`vectors of ${d} do not divide groups of ${group}`)
    for (const book of w.codebooks) {
      if (book.cols !== d || book.rows !== 2 ** w.bits) {
        refuse(`a codebook is ${shapeText(book)}, not [2^${w.bits}, ${d}]`)
      }
    }
    const codes = ((rows * cols) / d) * w.codebooks.length
    expect('codes (bytes)', w.codes.length, packedBytes(codes, w.bits))
  }
}
