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

/**
 * Products with blocks that were expanded, without loss, to codes of 4 or 8 bits beside the scales and offsets of their groups; in WebAssembly only (`assembly/blocks`).
 */
export interface ExpandedKernels {
  /**
   * Expands rows of blocks, the first of which is a multiple of 4, to `cols · bits / 8` bytes and four bytes per scale and offset each.
   *
   * @param middle what is taken from codes, and its multiple of the scale given to offsets
   * @param panel 8·cols bytes
   * @param table the type's points as signed bytes; 0 for types without
   */
  expandBlocks(
    type: number,
    blocks: Pointer,
    rowBytes: number,
    out: Pointer,
    rows: number,
    cols: number,
    group: number,
    bits: number,
    middle: number,
    hasOffsets: number,
    panel: Pointer,
    table: Pointer,
  ): void
  /**
   * `matmulBlocks` with what `expandBlocks` wrote, its rows padded to a multiple of 16 with zeros.
   *
   * @param sums `groupSums` of `x`; 0 where groups have no offsets
   * @param scratch 64 bytes per thread
   */
  matmulExpanded(
    w: Pointer,
    bits: number,
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
    scratch: Pointer,
  ): void
  /** A row of what `expandBlocks` wrote, as floats times `factor`. */
  expandedRow(
    w: Pointer,
    row: number,
    out: Pointer,
    cols: number,
    group: number,
    bits: number,
    hasOffsets: number,
    factor: number,
  ): void
}

/** Whether blocks can be expanded: not by the reference. */
export const canExpand = (kernels: BlockKernels): kernels is BlockKernels & ExpandedKernels =>
  'expandBlocks' in kernels

/** With how many bits codes of a type are held when they are expanded, and what is taken from them before. */
export const expandedForm = ({ middle }: BlockType) =>
  middle === undefined ? ({ bits: 8, middle: 0 } as const) : ({ bits: 4, middle } as const)

/** How a type's weights are whole numbers: `scale[group] · code`, with offsets `scale[group] · code + offset[group]`. */
export interface BlockType {
  /** Its number in GGUF files. */
  readonly id: number
  /** Columns of a group. */
  readonly group: 16 | 32
  readonly hasOffsets: boolean
  /** Where all codes are among the 16 from `middle` − 8 on; other than 0 only for types with offsets. */
  readonly middle?: 0 | 8
  /** The points that codes are of, as signed bytes. */
  readonly points?: () => Int8Array
}

/** All types that are stored in blocks, by name. */
export const blockTypes: ReadonlyMap<string, BlockType> = /* @__PURE__ */ new Map<string, BlockType>([
  ['Q4_0', { id: 2, group: 32, hasOffsets: false, middle: 0 }],
  ['Q4_1', { id: 3, group: 32, hasOffsets: true, middle: 8 }],
  ['Q5_0', { id: 6, group: 32, hasOffsets: false }],
  ['Q5_1', { id: 7, group: 32, hasOffsets: true }],
  ['Q8_0', { id: 8, group: 32, hasOffsets: false }],
  ['Q2_K', { id: 10, group: 16, hasOffsets: true, middle: 0 }],
  ['Q3_K', { id: 11, group: 16, hasOffsets: false, middle: 0 }],
  ['Q4_K', { id: 12, group: 32, hasOffsets: true, middle: 8 }],
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
  ['TQ1_0', { id: 34, group: 32, hasOffsets: false, middle: 0 }],
  ['TQ2_0', { id: 35, group: 32, hasOffsets: false, middle: 0 }],
  ['MXFP4', { id: 39, group: 32, hasOffsets: false }],
  ['NVFP4', { id: 40, group: 16, hasOffsets: false }],
  ['Q1_0', { id: 41, group: 32, hasOffsets: false, middle: 0 }],
  ['Q2_0', { id: 42, group: 32, hasOffsets: false, middle: 0 }],
])

const bytesOf = (points: Float32Array): Int8Array => Int8Array.from(points)

/** Points that are moved by eighths. */
function inEighths(): Int8Array {
  return Int8Array.from(ggufGrids.iq1(), v => 8 * v)
}
