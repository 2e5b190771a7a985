import { type ColumnEncoder, type GivenOf, type Matrix, ReallmError, tensor, tileOf } from '@reallm/tensor-io'
import { ggufBlockType, ggufLayout, readGguf } from '@reallm/tensor-io/layouts'
import { columnCodec, tileCounter } from '../shared/column-codec.ts'
import { joinRows } from '../shared/join-rows.ts'
import { latticeBlocks } from './lattice-blocks.ts'
import { latticeTypes } from './lattice-types.ts'
import { type Blocks, scalarBlocks } from './scalar-blocks.ts'
import { scalarTypes } from './scalar-types.ts'

/** Parameters of the codec `gguf`. */
export type GgufParams = GivenOf<typeof ggufLayout>

/**
 * The block types of GGUF, the codec `gguf`: what llama.cpp and its relatives read. Scales are searched under the diagonal of
 * the Hessian, those of a super-block's groups when error feedback comes to them.
 *
 * @example
 * const stored = await withFeedback(gguf).encode(w, { type: 'Q4_K' }, { hessian, seed: 1 })
 */
export const gguf = columnCodec({
  layout: ggufLayout,
  async columns(w, { type }, { hessian, columnLoss }) {
    const shape = [w.rows, w.cols] as const
    const { block } = ggufBlockType(type)
    const scalar = scalarTypes[type]
    const lattice = latticeTypes[type]
    if (!scalar && !lattice) {
      throw new ReallmError('unsupported', `GGUF's type ${type} is read, but not written`, {
        hint: `written are ${[...Object.keys(scalarTypes), ...Object.keys(latticeTypes)].join(', ')}`,
      })
    }
    const losses = columnLoss?.(lattice ? 8 : 1) ?? diagonalOf(hessian, w.cols)
    const blocks = lattice
      ? latticeBlocks(lattice, shape, block, losses)
      : scalarBlocks(scalar, shape, block, losses)
    return encoderOf(type, w, blocks)
  },
  decodeRows: readGguf,
  bands: { rows: () => 1, join: bands => joinRows(bands, ['blocks']) },
})

/** A little of the mean keeps columns that calibration never saw. */
function diagonalOf(hessian: Matrix | undefined, cols: number): Float32Array {
  if (!hessian) return new Float32Array(cols).fill(1)
  const diagonal = Float32Array.from({ length: cols }, (_, c) => hessian.data[c * (cols + 1)])
  const mean = diagonal.reduce((sum, v) => sum + v, 0) / cols
  return mean > 0 ? diagonal.map(v => v + 1e-4 * mean) : diagonal.fill(1)
}

function encoderOf(type: string, w: Matrix, blocks: Blocks): ColumnEncoder {
  const { rows, cols } = w
  const { block, bytes } = ggufBlockType(type)
  const { group, vector } = blocks
  const tiles = tileCounter('gguf', [rows, cols])
  /** Columns up to which blocks and groups are started. */
  let [blockEnd, groupEnd] = [0, 0]

  function startBlock(residual: Matrix, col: number): void {
    blocks.startBlock?.(residual, col / block)
    blockEnd = col + block
  }
  function startGroup(residual: Matrix, col: number): void {
    if (col >= blockEnd) startBlock(tileOf(w, 0, col, rows, block), col)
    blocks.startGroup(residual, col / group)
    groupEnd = col + group
  }

  return {
    tileCols: vector,
    tileRows: 1,
    groupCols: group,
    ...(blocks.startBlock && { blockCols: block, startBlock }),
    startGroup,
    quantise(tile, row, col) {
      tiles.add(tile, row, col)
      if (col >= groupEnd) startGroup(tileOf(w, 0, col, rows, group), col)
      const data = tile.data.slice()
      blocks.round(data, row, col)
      return { rows: tile.rows, cols: tile.cols, data }
    },
    finish() {
      tiles.finish()
      const perRow = cols / block
      const out = new Uint8Array(rows * perRow * bytes)
      for (let i = 0; i < rows * perRow; i++) blocks.pack(Math.floor(i / perRow), i % perRow, out, i * bytes)
      const params = { type }
      return {
        codec: 'gguf',
        params,
        shape: [rows, cols],
        parts: { blocks: tensor('U8', [rows, perRow * bytes], out) },
      }
    },
  }
}
