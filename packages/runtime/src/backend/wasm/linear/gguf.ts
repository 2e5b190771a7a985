import { type BlockKernels, blockTypes, canExpand } from '@reallm/kernels/blocks'
import { checkParts, type Stored } from '@reallm/tensor-io'
import { ggufLayout, readGguf } from '@reallm/tensor-io/layouts/gguf'
import type { Engine } from '../engine.ts'
import { BEYOND, expandedBlocks, sumsOf, uploadPoints } from './expanded-blocks.ts'
import type { Linear } from './linear.ts'
import { type Runner, written } from './runner.ts'

/** GGUF's blocks: multiplied as they are, as whole numbers without loss, or written anew. */
export const gguf: Runner = async (engine, e, options) => {
  const stored = checkParts(ggufLayout, e)
  const kernels = options.form === 'written' ? undefined : await engine.inference.blocks()
  if (kernels && options.form === 'packed') return blocksLinear(engine, stored, kernels)
  if (kernels && canExpand(kernels)) return expandedBlocks(engine, stored, kernels)
  return written(engine, e.shape, (from, to, out) => out.set(readGguf(stored, from, to).data), options)
}

/** Products with blocks, which are copied: `stored` is not held. */
function blocksLinear(
  engine: Engine,
  { shape, params, parts }: Stored<typeof ggufLayout>,
  kernels: BlockKernels,
): Linear {
  const { arena, inference } = engine
  const type = blockTypes.get(params.type)!
  const { id, group } = type
  const [rows, cols] = shape
  const bytes = parts.blocks.data.byteLength
  const rowBytes = bytes / rows
  const blocks = arena.allocate(bytes + BEYOND)
  arena.bytes(blocks, bytes).set(parts.blocks.data as Uint8Array)
  const table = uploadPoints(engine, type)

  return {
    rows,
    cols,
    bytes,
    multiplyAdds: rows * cols,
    apply(x, y, ldy, tokens, accumulate) {
      const { values, scales } = x.quantised(tokens)
      const panel = engine.scratchBytes('panel', 8 * cols * inference.threads)
      const sums = sumsOf(engine, kernels, type, values, tokens, cols)
      const sizes = [rows, cols, group, tokens, ldy, accumulate ? 1 : 0] as const
      kernels.matmulBlocks(id, blocks, rowBytes, values, scales, sums, y, ...sizes, panel, table)
    },
    row(index, out, factor) {
      const data = arena.bytes(blocks + index * rowBytes, rowBytes)
      const one = { dtype: 'U8' as const, shape: [1, rowBytes], data }
      const row = readGguf({ codec: 'gguf', params, shape: [1, cols], parts: { blocks: one } }, 0, 1).data
      arena.floats(out, cols).set(factor === 1 ? row : row.map(w => w * factor))
    },
    dispose: () => arena.free(blocks),
  }
}
