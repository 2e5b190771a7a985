import { ggufGrids } from '@reallm/tensor-io/layouts/gguf'
import type { Pointer } from './kernels.ts'

/** Products with matrices in GGUF's blocks, as they are stored; in WebAssembly (`assembly/blocks`) and in plain TypeScript. */
export interface BlockKernels {
  /**
   * `y[t, r] (+)= scale_x[t] · Σ_c w[r, c] · x[t, c]`: rows of `rowBytes` bytes, 16-bit activations of `cols` values per token,
   * `ldy` floats between tokens of `y`.
   *
   * @param type number of a type of `blockTypes`
   * @param sums `groupSums` of `x`; 0 for types without offsets
   * @param panel 8·cols bytes per thread
   * @param table the type's points as signed bytes; 0 for types without
   */
  matmulBlocks(
    type: number,
    blocks: Pointer,
    rowBytes: number,
    x: Pointer,
    xScales: Pointer,
    sums: Pointer,
    y: Pointer,
    rows: number,
    cols: number,
    group: number,
    tokens: number,
    ldy: number,
    accumulate: number,
    panel: Pointer,
    table: Pointer,
  ): void
  /** Sums of 16-bit activations `[tokens, cols]` over `group` columns each, as floats `[tokens, cols / group]`. */
  groupSums(x: Pointer, out: Pointer, tokens: number, cols: number, group: number): void
}

/** How a type's weights are whole numbers: `scale[group] · code`, with offsets `scale[group] · code + offset[group]`. */
export interface BlockType {
  /** Its number in GGUF files. */
  readonly id: number
  /** Columns of a group. */
  readonly group: 16 | 32
  readonly hasOffsets: boolean
  /** The points that codes are of, as signed bytes. */
  readonly points?: () => Int8Array
}

/** All types that are stored in blocks, by name. */
export const blockTypes: ReadonlyMap<string, BlockType> = /* @__PURE__ */ new Map<string, BlockType>([
  ['Q4_0', { id: 2, group: 32, hasOffsets: false }],
  ['Q4_1', { id: 3, group: 32, hasOffsets: true }],
  ['Q5_0', { id: 6, group: 32, hasOffsets: false }],
  ['Q5_1', { id: 7, group: 32, hasOffsets: true }],
  ['Q8_0', { id: 8, group: 32, hasOffsets: false }],
  ['Q2_K', { id: 10, group: 16, hasOffsets: true }],
  ['Q3_K', { id: 11, group: 16, hasOffsets: false }],
  ['Q4_K', { id: 12, group: 32, hasOffsets: true }],
  ['Q5_K', { id: 13, group: 32, hasOffsets: true }],
  ['Q6_K', { id: 14, group: 16, hasOffsets: false }],
  ['IQ2_XXS', { id: 16, group: 32, hasOffsets: false, points: () => bytesOf(ggufGrids.iq2xxs()) }],
  ['IQ2_XS', { id: 17, group: 16, hasOffsets: false, points: () => bytesOf(ggufGrids.iq2xs()) }],
  ['IQ3_XXS', { id: 18, group: 32, hasOffsets: false, points: () => bytesOf(ggufGrids.iq3xxs()) }],
  ['IQ1_S', { id: 19, group: 32, hasOffsets: false, points: inEighths }],
  ['IQ4_NL', { id: 20, group: 32, hasOffsets: false }],
  ['IQ3_S', { id: 21, group: 32, hasOffsets: false, points: () => bytesOf(ggufGrids.iq3s()) }],
  ['IQ2_S', { id: 22, group: 16, hasOffsets: false, points: () => bytesOf(ggufGrids.iq2s()) }],
  ['IQ4_XS', { id: 23, group: 32, hasOffsets: false }],
  ['IQ1_M', { id: 29, group: 16, hasOffsets: false, points: inEighths }],
  ['TQ1_0', { id: 34, group: 32, hasOffsets: false }],
  ['TQ2_0', { id: 35, group: 32, hasOffsets: false }],
  ['MXFP4', { id: 39, group: 32, hasOffsets: false }],
  ['NVFP4', { id: 40, group: 16, hasOffsets: false }],
  ['Q1_0', { id: 41, group: 32, hasOffsets: false }],
  ['Q2_0', { id: 42, group: 32, hasOffsets: false }],
])

const bytesOf = (points: Float32Array): Int8Array => Int8Array.from(points)

/** Points that are moved by eighths. */
function inEighths(): Int8Array {
  return Int8Array.from(ggufGrids.iq1(), v => 8 * v)
}
