import { decodeTrellisRows, trellisMatrix } from '@reallm/kernels/decode/trellis'
import { streamScratch } from '@reallm/kernels/decode/trellis-stream'
import type { TrellisKernels } from '@reallm/kernels/inference'
import { trellisLayout } from '@reallm/tensor-io/layouts/trellis'
import { TILE } from '@reallm/tensor-io/layouts/trellis-tiles'
import { type Engine, integerStride, paddedRows } from '../engine.ts'
import { exactBytes, groupOf } from './integer.ts'
import type { Linear } from './linear.ts'
import { runner, written } from './runner.ts'
import { type TrellisCode, uploadTrellis } from './trellis-code.ts'

export const trellis = runner(trellisLayout, async (engine, e, options) => {
  const m = trellisMatrix(e)
  const code = options.form === 'written' ? undefined : uploadTrellis(engine, m, e.params.values === 'gauss')
  if (code && options.form === 'packed') {
    return trellisLinear(engine, code, m.scales, await engine.inference.trellis())
  }
  if (code?.ranges.length === 1) return exactTrellis(engine, code, m.scales)
  code?.dispose()
  return written(engine, e.shape, (from, to, out) => decodeTrellisRows(m, from, to, out), options)
})

const scaleOf = (scales: Float32Array, row: number) => scales[scales.length > 1 ? row : 0]

/** The matrix as one-byte integers without loss. The code is given back. */
function exactTrellis(engine: Engine, code: TrellisCode, scales: Float32Array): Linear {
  const [rows, cols] = code.shape
  const { codes, rates, rowBytes, stateBits, ranges } = code
  const [{ tables, step }] = ranges
  const stride = integerStride(cols)
  const fill = (w: number) => {
    const scratch = engine.scratchBytes('tiles', 32 * engine.inference.threads)
    engine.kernels.expandTrellis(codes, rows, stride, rowBytes, rates, tables, stateBits, w, scratch)
  }
  const linear = exactBytes(engine, code.shape, fill, r => step * scaleOf(scales, r), stride)
  code.dispose()
  return linear
}

/** Products from the code. */
function trellisLinear(
  engine: Engine,
  code: TrellisCode,
  scales: Float32Array,
  { matmulTrellis }: TrellisKernels,
): Linear {
  const { kernels, arena, inference } = engine
  const { shape, codes, rates, rowBytes, stateBits } = code
  const [rows, cols] = shape
  const ranges = code.ranges.map(range => {
    const width = integerStride(range.to - range.from)
    const group = groupOf(width)
    const groups = width / group
    const steps = Float32Array.from(
      { length: paddedRows(rows) * groups },
      (_, i) => range.step * scaleOf(scales, Math.min(rows - 1, Math.floor(i / groups))),
    )
    return { ...range, width, group, groups, scales: engine.upload(steps) }
  })
  const widest = Math.max(...ranges.map(({ width }) => width))
  const scratchBytes = streamScratch(widest)
  const scratchOf = () => engine.scratchBytes('tiles', inference.threads * scratchBytes)
  const scaleBytes = ranges.reduce((sum, { groups }) => sum + 4 * paddedRows(rows) * groups, 0)

  return {
    rows,
    cols,
    multiplyAdds: rows * cols,
    bytes: code.bytes + scaleBytes,
    apply(x, y, ldy, tokens, accumulate) {
      const { values, scales: xScales } = x.quantised(tokens)
      const scratch = scratchOf()
      for (const [i, { from, firstByte, tables, width, group, scales }] of ranges.entries()) {
        const add = accumulate || i > 0 ? 1 : 0
        const sizes = [rows, width, group, tokens, integerStride(cols), ldy, add] as const
        const stored = [rowBytes, rates + from / TILE, tables, stateBits, scratch, scratchBytes] as const
        matmulTrellis(codes + firstByte, scales, values + 2 * from, xScales, y, ...sizes, ...stored)
      }
    },
    row(index, out, factor) {
      const tileRow = Math.floor(index / TILE)
      const w = engine.scratchBytes('row of tiles', TILE * widest)
      const scratch = scratchOf()
      for (const { from, to, firstByte, tables, width, group, groups, scales } of ranges) {
        const stored = codes + tileRow * rowBytes + firstByte
        const of = [rowBytes, rates + from / TILE, tables, stateBits] as const
        kernels.expandTrellis(stored, TILE, width, ...of, w, scratch)
        const steps = scales + 4 * groups * TILE * tileRow
        kernels.integerRow(w, steps, index % TILE, out + 4 * from, to - from, width, group, factor, 1)
      }
    },
    dispose() {
      for (const { scales } of ranges) arena.free(scales)
      code.dispose()
    },
  }
}
