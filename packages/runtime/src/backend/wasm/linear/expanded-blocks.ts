import {
  type BlockKernels,
  type BlockType,
  blockTypes,
  type ExpandedKernels,
  expandedForm,
} from '@reallm/kernels/blocks'
import type { Pointer } from '@reallm/kernels/inference'
import type { Stored } from '@reallm/tensor-io'
import type { ggufLayout } from '@reallm/tensor-io/layouts/gguf'
import type { Engine } from '../engine.ts'
import type { Linear } from './linear.ts'

/** Bytes that a kernel may read beyond the last block. */
export const BEYOND = 16

/** Rows that the kernel multiplies together. */
const ROWS = 16
/** Bytes of blocks expanded at a time. */
const STAGED = 1 << 18

/** A matrix in GGUF's blocks as codes of 4 or 8 bits without loss, beside the scales and offsets of their groups. */
export function expandedBlocks(
  engine: Engine,
  { shape: [rows, cols], params, parts }: Stored<typeof ggufLayout>,
  kernels: BlockKernels & ExpandedKernels,
): Linear {
  const { arena, inference } = engine
  const type = blockTypes.get(params.type)!
  const { id, group, hasOffsets } = type
  const { bits, middle } = expandedForm(type)
  const offsets = hasOffsets ? 1 : 0
  const bytesPerRow = (cols * bits) / 8 + (4 * (1 + offsets) * cols) / group
  const bytes = Math.ceil(rows / ROWS) * ROWS * bytesPerRow
  const w = arena.allocate(bytes)

  const stored = parts.blocks.data as Uint8Array
  const rowBytes = stored.length / rows
  const step = Math.max(4, Math.floor(STAGED / rowBytes / 4) * 4)
  const staging = arena.allocate(step * rowBytes + BEYOND)
  const panel = engine.scratchBytes('panel', 8 * cols * inference.threads)
  const table = uploadPoints(engine, type)
  for (let from = 0; from < rows; from += step) {
    const some = stored.subarray(from * rowBytes, (from + step) * rowBytes)
    arena.bytes(staging, some.length).set(some)
    const of = [some.length / rowBytes, cols, group, bits, middle, offsets] as const
    kernels.expandBlocks(id, staging, rowBytes, w + from * bytesPerRow, ...of, panel, table)
  }
  arena.free(staging)

  return {
    rows,
    cols,
    bytes,
    multiplyAdds: rows * cols,
    apply(x, y, ldy, tokens, accumulate) {
      const { values, scales } = x.quantised(tokens)
      const sums = sumsOf(engine, kernels, type, values, tokens, cols)
      const scratch = engine.scratchBytes('unread', 64 * inference.threads)
      const sizes = [rows, cols, group, tokens, ldy, accumulate ? 1 : 0] as const
      kernels.matmulExpanded(w, bits, values, scales, sums, y, ...sizes, scratch)
    },
    row: (index, out, factor) => kernels.expandedRow(w, index, out, cols, group, bits, offsets, factor),
    dispose: () => arena.free(w),
  }
}

/** The points of a type's codes in the engine's memory; 0 for types without. */
export const uploadPoints = (engine: Engine, { id, points }: BlockType): Pointer =>
  points ? engine.constant(`points of ${id}`, () => new Float32Array(points().buffer)) : 0

/** Sums of 16-bit activations over a type's groups, in the engine's memory; 0 for types without offsets. */
export function sumsOf(
  engine: Engine,
  kernels: BlockKernels,
  { group, hasOffsets }: BlockType,
  values: Pointer,
  tokens: number,
  cols: number,
): Pointer {
  if (!hasOffsets) return 0
  const sums = engine.scratchBytes('sums', (4 * tokens * cols) / group)
  kernels.groupSums(values, sums, tokens, cols, group)
  return sums
}
