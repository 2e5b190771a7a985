import { ggufBlockType, readGguf } from '@reallm/tensor-io/layouts/gguf'
import { type BlockKernels, blockTypes } from '../inference/blocks.ts'

/** Reference implementation of products with GGUF's blocks. */
export function referenceBlocks(memory: WebAssembly.Memory): BlockKernels {
  const names = new Map([...blockTypes].map(([name, { id }]) => [id, name]))
  return {
    matmulBlocks(id, blocks, rowBytes, x, xScales, _sums, y, rows, cols, _group, tokens, ldy, accumulate) {
      const type = ggufBlockType(names.get(id)!).name
      const data = new Uint8Array(memory.buffer, blocks, rows * rowBytes)
      const stored = {
        ...{ codec: 'gguf', params: { type }, shape: [rows, cols] as const },
        parts: { blocks: { dtype: 'U8' as const, shape: [rows, rowBytes], data } },
      }
      const values = new Int16Array(memory.buffer, x, tokens * cols)
      const scales = new Float32Array(memory.buffer, xScales, tokens)
      const out = new Float32Array(memory.buffer, y, (tokens - 1) * ldy + rows)
      for (let r = 0; r < rows; r++) {
        const row = readGguf(stored, r, r + 1).data
        for (let t = 0; t < tokens; t++) {
          const sum = row.reduce((total, w, c) => total + w * values[t * cols + c], 0)
          out[t * ldy + r] = sum * scales[t] + (accumulate ? out[t * ldy + r] : 0)
        }
      }
    },
    groupSums(x, out, tokens, cols, group) {
      const values = new Int16Array(memory.buffer, x, tokens * cols)
      const sums = new Float32Array(memory.buffer, out, (tokens * cols) / group)
      for (const g of sums.keys()) {
        sums[g] = values.subarray(g * group, (g + 1) * group).reduce((sum, v) => sum + v, 0)
      }
    },
  }
}
