import { decodeNerv } from '@reallm/kernels/decode/nerv'
import { decodeTrellisRows, trellisMatrix } from '@reallm/kernels/decode/trellis'
import { decodeBands, trellisBandMatrices } from '@reallm/kernels/decode/trellis-bands'
import { hadamardPlan, nervForward, rotationSigns, transformAxis } from '@reallm/kernels/reference'
import { checkParts, type EncodedMatrix, type Matrix, ReallmError, zeroMatrix } from '@reallm/tensor-io'
import { autoencoderLayout } from '@reallm/tensor-io/layouts/autoencoder'
import { decodeCoded } from '@reallm/tensor-io/layouts/coded-rows'
import type { LowRank } from '@reallm/tensor-io/layouts/factors'
import { ggufLayout, readGguf } from '@reallm/tensor-io/layouts/gguf'
import { gridLayout, readGrid } from '@reallm/tensor-io/layouts/grid'
import { kmeansLayout, readKmeans } from '@reallm/tensor-io/layouts/kmeans'
import { lowRankResidualLayout, lowrankLayout, readLowRankFactors } from '@reallm/tensor-io/layouts/lowrank'
import { lplrLayout, readLplr } from '@reallm/tensor-io/layouts/lplr'
import {
  type Monarch,
  monarchLayout,
  monarchResidualLayout,
  readMonarch,
} from '@reallm/tensor-io/layouts/monarch'
import { normalfloatLayout, readNormalfloat } from '@reallm/tensor-io/layouts/normalfloat'
import { readRom, romLayout } from '@reallm/tensor-io/layouts/rom'
import { readSeed, rotationLayout } from '@reallm/tensor-io/layouts/rotation'
import { readRowScales, rowScaledLayout } from '@reallm/tensor-io/layouts/row-scaled'
import { readScaling, scalingLayout } from '@reallm/tensor-io/layouts/scaling'
import { trellisLayout } from '@reallm/tensor-io/layouts/trellis'
import { trellisBandsLayout } from '@reallm/tensor-io/layouts/trellis-bands'
import type { Described } from '../weight.ts'

const decoders: Readonly<Record<string, (e: EncodedMatrix) => Matrix>> = {
  autoencoder: e => decodeNerv(checkParts(autoencoderLayout, e), nervForward),
  gguf: e => readGguf(checkParts(ggufLayout, e), 0, e.shape[0]),
  grid: e => decodeCoded(readGrid(checkParts(gridLayout, e))),
  kmeans: e => decodeCoded(readKmeans(checkParts(kmeansLayout, e))),
  lowrank: e => product(readLowRankFactors(checkParts(lowrankLayout, e))),
  'lowrank-residual'(e) {
    const stored = checkParts(lowRankResidualLayout, e)
    return sum(decode(e.inner!), product(readLowRankFactors(stored)))
  },
  lplr: e => product(readLplr(checkParts(lplrLayout, e))),
  monarch: e => monarch(e, readMonarch(checkParts(monarchLayout, e))),
  'monarch-residual'(e) {
    const stored = checkParts(monarchResidualLayout, e)
    return sum(decode(e.inner!), monarch(e, readMonarch(stored)))
  },
  normalfloat: e => decodeCoded(readNormalfloat(checkParts(normalfloatLayout, e))),
  rom: e => product(readRom(checkParts(romLayout, e))),
  rotation(e) {
    const stored = checkParts(rotationLayout, e)
    const w = decode(e.inner!)
    const seed = readSeed(stored)
    const { input, output } = stored.params
    if (input) transformAxis(w.data, hadamardPlan(w.cols), 1)
    if (output) transformAxis(w.data, hadamardPlan(w.rows), w.cols)
    return scaled(
      w,
      output ? rotationSigns(seed, 'output', w.rows) : undefined,
      input ? rotationSigns(seed, 'input', w.cols) : undefined,
    )
  },
  'row-scaled'(e) {
    const stored = checkParts(rowScaledLayout, e)
    return scaled(decode(e.inner!), readRowScales(stored), undefined)
  },
  scaling(e) {
    const stored = checkParts(scalingLayout, e)
    return scaled(decode(e.inner!), ...readScaling(stored))
  },
  trellis(e) {
    const stored = trellisMatrix(checkParts(trellisLayout, e))
    const w = zeroMatrix(...e.shape)
    decodeTrellisRows(stored, 0, w.rows, w.data)
    return w
  },
  'trellis-bands'(e) {
    const bands = trellisBandMatrices(checkParts(trellisBandsLayout, e))
    const w = zeroMatrix(...e.shape)
    decodeBands(bands, 0, w.rows, w.data)
    return w
  },
}

/** Whether a stored matrix, wrappers included, can be decoded here. */
export const isDecodable = ({ codec, inner }: Described): boolean =>
  codec in decoders && (inner === undefined || isDecodable(inner))

/**
 * A stored matrix as floats.
 *
 * @throws what `checkParts` of its layout throws; `unsupported` for other codecs
 */
export function decode(e: EncodedMatrix): Matrix {
  const decoder = decoders[e.codec]
  if (!decoder) throw new ReallmError('unsupported', `the codec ${e.codec} needs a registry to run`)
  return decoder(e)
}

function product({ left, right }: LowRank): Matrix {
  const w = zeroMatrix(left.rows, right.cols)
  for (let r = 0; r < w.rows; r++) {
    for (let k = 0; k < left.cols; k++) {
      const factor = left.data[r * left.cols + k]
      for (let c = 0; c < w.cols; c++) w.data[r * w.cols + c] += factor * right.data[k * w.cols + c]
    }
  }
  return w
}

function sum(a: Matrix, b: Matrix): Matrix {
  return { ...a, data: a.data.map((v, i) => v + b.data[i]) }
}

function scaled(w: Matrix, rows: Float32Array | undefined, cols: Float32Array | undefined): Matrix {
  const data = w.data.map((v, i) => v * (rows?.[Math.floor(i / w.cols)] ?? 1) * (cols?.[i % w.cols] ?? 1))
  return { ...w, data }
}

/** Row `i · l + a` is row i of L's block a, times R; see `Monarch`. */
function monarch(
  { shape }: EncodedMatrix,
  { inBlocks: k, outBlocks: l, rank: t, left, right }: Monarch,
): Matrix {
  const w = zeroMatrix(...shape)
  const [s, p] = [w.rows / l, w.cols / k]
  for (let r = 0; r < w.rows; r++) {
    const [a, i] = [r % l, Math.floor(r / l)]
    for (let c = 0; c < k * t; c++) {
      const factor = left.data[(a * s + i) * k * t + c]
      const block = Math.floor(c / t)
      const line = (block * l + a) * t + (c % t)
      for (let j = 0; j < p; j++) w.data[r * w.cols + block * p + j] += factor * right.data[line * p + j]
    }
  }
  return w
}
