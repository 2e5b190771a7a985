import { decodeTrellisRows, trellisMatrix } from '@reallm/kernels/decode/trellis'
import {
  type CodedBlob,
  codedBlob,
  rotationSigns,
  type TrellisBlob,
  trellisBlob,
  trellisRows,
} from '@reallm/kernels/webgpu'
import { checkParts, type EncodedMatrix, ReallmError } from '@reallm/tensor-io'
import { type CodedRows, decodeCodedRows } from '@reallm/tensor-io/layouts/coded-rows'
import { readSeed, rotationLayout } from '@reallm/tensor-io/layouts/rotation'
import { readRowScales, rowScaledLayout } from '@reallm/tensor-io/layouts/row-scaled'
import { readScaling, scalingLayout } from '@reallm/tensor-io/layouts/scaling'
import { trellisLayout } from '@reallm/tensor-io/layouts/trellis'
import type { Described, WeightForm } from '../weight.ts'
import { expanded, type RowsOf } from './expand.ts'
import type { Step } from './weight.ts'

/** Rows of a stored matrix that kernels read alike. */
export interface RowPart {
  readonly rows: number
  /** Of them those from `from` to `to` (exclusive; `from` a multiple of 64). */
  read(from: number, to: number): TrellisBlob | CodedBlob
}

/** A stored matrix as the device runs it: rows that are multiplied by, and what comes before and after. */
export interface ReadMatrix {
  readonly before: readonly Step[]
  readonly after: readonly Step[]
  /** From top to bottom. */
  readonly parts: readonly RowPart[]
}

const packed = [
  'grid',
  'kmeans',
  'normalfloat',
  'trellis',
  'trellis-bands',
  'gguf',
  'lowrank-residual',
  'rotation',
  'row-scaled',
  'scaling',
]
const decoded = ['autoencoder', 'lowrank', 'lplr', 'monarch', 'monarch-residual', 'rom']

/** Whether a stored matrix, wrappers included, is run by itself: packed, or as the floats that it decodes to. */
export const isRun = ({ codec, inner }: Described): boolean =>
  (packed.includes(codec) || decoded.includes(codec)) && (inner === undefined || isRun(inner))

/**
 * What is not run packed is held as floats of 16 bits, or 32 in the form `f32`; GGUF's blocks, which `packed` is to keep small, as
 * whole numbers of 8.
 *
 * @throws what `checkParts` of its layouts throws; `unsupported` for other codecs
 */
export async function readStored(e: EncodedMatrix, form: WeightForm): Promise<ReadMatrix> {
  const [rows, cols] = e.shape
  const bits = form === 'f32' ? 32 : 16
  if (decoded.includes(e.codec)) {
    const { decode } = await import('../reference/decode.ts')
    const { data } = decode(e)
    return floats(rows, cols, bits, (from, to, out) => out.set(data.subarray(from * cols, to * cols)))
  }
  const wrapped = async (before: Step | undefined, after: Step | undefined): Promise<ReadMatrix> => {
    const inner = await readStored(e.inner!, form)
    return {
      ...inner,
      before: [...(before ? [before] : []), ...inner.before],
      after: [...inner.after, ...(after ? [after] : [])],
    }
  }
  switch (e.codec) {
    case 'trellis': {
      const m = trellisMatrix(checkParts(trellisLayout, e))
      if (!trellisBlob(trellisRows(m, 0, Math.min(rows, 64)))) {
        return floats(rows, cols, bits, (from, to, out) => decodeTrellisRows(m, from, to, out))
      }
      return plain(rows, (from, to) => trellisBlob(trellisRows(m, from, to))!)
    }
    case 'trellis-bands': {
      const { readTrellisBands, trellisBandsLayout } = await import('@reallm/tensor-io/layouts/trellis-bands')
      const parts: RowPart[] = []
      for (const { matrix } of readTrellisBands(checkParts(trellisBandsLayout, e)))
        parts.push(...(await readStored(matrix, form)).parts)
      return { before: [], after: [], parts }
    }
    case 'gguf': {
      const { ggufLayout, readGguf } = await import('@reallm/tensor-io/layouts/gguf')
      const stored = checkParts(ggufLayout, e)
      const isSmall = form === 'packed' || form === 'int8'
      return floats(rows, cols, isSmall ? 8 : bits, (from, to, out) =>
        out.set(readGguf(stored, from, to).data),
      )
    }
    case 'grid': {
      const { gridLayout, readGrid } = await import('@reallm/tensor-io/layouts/grid')
      const stored = checkParts(gridLayout, e)
      return coded(rows, bits, (from, to) => readGrid(stored, from, to))
    }
    case 'normalfloat': {
      const { normalfloatLayout, readNormalfloat } = await import('@reallm/tensor-io/layouts/normalfloat')
      const stored = checkParts(normalfloatLayout, e)
      return coded(rows, bits, (from, to) => readNormalfloat(stored, from, to))
    }
    case 'kmeans': {
      const { kmeansLayout, readKmeans } = await import('@reallm/tensor-io/layouts/kmeans')
      const stored = checkParts(kmeansLayout, e)
      return coded(rows, bits, (from, to) => readKmeans(stored, from, to))
    }
    case 'rotation': {
      const stored = checkParts(rotationLayout, e)
      const seed = readSeed(stored)
      const { input, output } = stored.params
      return wrapped(
        input ? rotate(rotationSigns(seed, 'input', cols)) : undefined,
        output ? rotate(rotationSigns(seed, 'output', rows)) : undefined,
      )
    }
    case 'scaling': {
      const [ofRows, ofCols] = readScaling(checkParts(scalingLayout, e))
      return wrapped(
        ofCols && { kind: 'scale', factors: ofCols },
        ofRows && { kind: 'scale', factors: ofRows },
      )
    }
    case 'row-scaled':
      return wrapped(undefined, { kind: 'scale', factors: readRowScales(checkParts(rowScaledLayout, e)) })
    case 'lowrank-residual': {
      const { lowRankResidualLayout, readLowRankFactors } = await import('@reallm/tensor-io/layouts/lowrank')
      const stored = checkParts(lowRankResidualLayout, e)
      if (stored.params.rank === 0) return wrapped(undefined, undefined)
      const { left, right } = readLowRankFactors(stored)
      const step: Step = { kind: 'low-rank', rank: right.rows, left: left.data, right: right.data }
      return wrapped(step, step)
    }
  }
  throw new ReallmError('unsupported', `the codec ${e.codec} needs a registry to run`)
}

const plain = (rows: number, read: RowPart['read']): ReadMatrix => ({
  ...{ before: [], after: [], parts: [{ rows, read }] },
})

/** What rows decode to; `rowsOf` writes rows of the matrix. */
const floats = (rows: number, cols: number, bits: 8 | 16 | 32, rowsOf: RowsOf): ReadMatrix =>
  plain(rows, (from, to) => expanded(to - from, cols, bits, (a, b, out) => rowsOf(from + a, from + b, out)))

/** Codes in rows, or what they decode to where their columns are in another order. */
const coded = (rows: number, bits: 16 | 32, read: (from: number, to: number) => CodedRows): ReadMatrix =>
  plain(rows, (from, to) => {
    const m = read(from, to)
    return codedBlob(m) ?? expanded(m.rows, m.cols, bits, (a, b, out) => decodeCodedRows(m, a, b, out))
  })

function rotate(signs: Float32Array): Step {
  const bits = new Uint32Array(Math.ceil(signs.length / 32))
  for (const [i, sign] of signs.entries()) if (sign < 0) bits[i >> 5] |= 1 << (i & 31)
  return { kind: 'rotate', signs: bits, width: signs.length }
}
