import { trellisMatrix } from '@reallm/kernels/decode/trellis'
import {
  decodeBands,
  type TrellisBandMatrix,
  trellisBandMatrices,
} from '@reallm/kernels/decode/trellis-bands'
import { EXPAND_SCRATCH, streamScratch } from '@reallm/kernels/decode/trellis-stream'
import type { TrellisKernels } from '@reallm/kernels/inference'
import type { EncodedMatrix, MatrixShape } from '@reallm/tensor-io'
import { trellisLayout } from '@reallm/tensor-io/layouts/trellis'
import { trellisBandsLayout } from '@reallm/tensor-io/layouts/trellis-bands'
import { TILE } from '@reallm/tensor-io/layouts/trellis-tiles'
import { type Engine, integerStride, paddedRows } from '../engine.ts'
import { exactBytes, groupOf } from './integer.ts'
import type { Linear } from './linear.ts'
import { type EncodedForm, runner, written } from './runner.ts'
import { stackedLinear } from './stacked.ts'
import { type TrellisCode, uploadTrellis } from './trellis-code.ts'

export const trellis = runner(trellisLayout, (engine, e, options) =>
  bandsLinear(engine, [{ from: 0, matrix: trellisMatrix(e) }], e, options, e.params.values === 'gauss'),
)

export const trellisBands = runner(trellisBandsLayout, (engine, e, options) =>
  bandsLinear(engine, trellisBandMatrices(e), e, options, true),
)

async function bandsLinear(
  engine: Engine,
  bands: readonly TrellisBandMatrix[],
  { shape }: EncodedMatrix,
  options: EncodedForm,
  shared: boolean,
): Promise<Linear> {
  const uploaded = options.form === 'written' ? undefined : uploadBands(engine, bands, shared)
  if (uploaded && options.form === 'packed') {
    const kernels = await engine.inference.trellis()
    const linears = uploaded.map(({ code, scales }) => trellisLinear(engine, code, scales, kernels))
    return stackedLinear(linears, bands[0].matrix.shape[0])
  }
  const exact = uploaded?.every(({ code }) => code.ranges.length === 1)
    ? exactTrellis(engine, shape, uploaded)
    : undefined
  for (const { code } of uploaded ?? []) code.dispose()
  return exact ?? written(engine, shape, (from, to, out) => decodeBands(bands, from, to, out), options)
}

interface UploadedBand {
  readonly from: number
  readonly code: TrellisCode
  readonly scales: Float32Array
}

/** The codes of all bands; undefined where one of them has values that are no bytes. */
function uploadBands(
  engine: Engine,
  bands: readonly TrellisBandMatrix[],
  shared: boolean,
): UploadedBand[] | undefined {
  const uploaded: UploadedBand[] = []
  for (const { from, matrix } of bands) {
    const code = uploadTrellis(engine, matrix, shared)
    if (!code) {
      for (const { code } of uploaded) code.dispose()
      return undefined
    }
    uploaded.push({ from, code, scales: matrix.scales })
  }
  return uploaded
}

const scaleOf = (scales: Float32Array, row: number) => scales[scales.length > 1 ? row : 0]

/** The matrix as one-byte integers without loss. */
function exactTrellis(engine: Engine, shape: MatrixShape, bands: readonly UploadedBand[]): Linear {
  const stride = integerStride(shape[1])
  const fill = (w: number) => {
    const scratch = engine.scratchBytes('tiles', EXPAND_SCRATCH * engine.inference.threads)
    for (const { from, code } of bands) {
      const { codes, rates, rowBytes, stateBits, ranges } = code
      const of = [codes, code.shape[0], stride, rowBytes, rates, ranges[0].tables, stateBits] as const
      engine.kernels.expandTrellis(...of, w + from * stride, scratch)
    }
  }
  const each = bands[0].code.shape[0]
  const scaleAt = (row: number) => {
    const { from, code, scales } = bands[Math.floor(row / each)]
    return code.ranges[0].step * scaleOf(scales, row - from)
  }
  return exactBytes(engine, shape, fill, scaleAt, stride)
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
