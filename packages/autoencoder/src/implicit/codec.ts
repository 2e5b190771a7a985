import { nearestCentroid } from '@reallm/kernels'
import {
  type ColumnCodec,
  type ColumnEncoder,
  checkHessian,
  checkWeights,
  defineCodec,
  type EncodeContext,
  type GivenOf,
  type Matrix,
  packBits,
  packedBytes,
  parseParams,
  ReallmError,
  type Stored,
  tensor,
  throwIfAborted,
  tileOf,
  zeroMatrix,
} from '@reallm/tensor-io'
import {
  type DenseLayer,
  type ImplicitParams,
  implicitLayers,
  implicitLayout,
  readImplicit,
  readLayers,
  vectorBits,
} from '@reallm/tensor-io/layouts'
import { packLayers } from '../pack-layers.ts'
import { implicitTable } from './table.ts'

/** What a caller may give of the parameters of `implicit`; the rest has defaults. */
export type ImplicitInput = GivenOf<typeof implicitLayout>

/**
 * A learned implicit codebook: each vector of `dim` weights has a few latent codes, and a small network decodes them
 * (LR²VQ, arXiv 2211.11397; QINCo, arXiv 2401.14732). Decoding tabulates all combinations of codes once; the file holds only
 * the network. One scale for the matrix.
 *
 * @example
 * const stored = await implicit.encode(w, { dim: 6, codeBits: [6, 6] }, { seed: 1 }) // 2 bits
 */
export const implicit: ColumnCodec<ImplicitInput> = {
  ...defineCodec({
    layout: implicitLayout,
    async encode(w, params, ctx) {
      const encoder = await columnEncoder(w, params, ctx)
      for (let col = 0; col < w.cols; col += params.dim)
        encoder.quantise(tileOf(w, 0, col, w.rows, params.dim), 0, col)
      return { parts: encoder.finish().parts }
    },
    decode: e => decodeRows(e, 0, e.shape[0]),
    decodeRows: (e, _, from, to) => decodeRows(e, from, to),
  }),
  async columns(w, given, ctx) {
    throwIfAborted(ctx.signal)
    const params = parseParams(implicitLayout, given)
    implicitLayout.parts([w.rows, w.cols], params)
    checkHessian(ctx.hessian, w.cols)
    checkWeights(w)
    return columnEncoder(w, params, ctx)
  },
}

async function columnEncoder(w: Matrix, params: ImplicitParams, ctx: EncodeContext): Promise<ColumnEncoder> {
  const shape = [w.rows, w.cols] as const
  const scale = Math.sqrt(w.data.reduce((sum, x) => sum + x * x, 0) / w.data.length) || 1
  const vectors = vectorsOf(w, params.dim)
  // Loaded on demand: what only decodes needs no training.
  const { fitImplicit } = await import('./fit.ts')
  const fitted = await fitImplicit({ ...vectors, data: vectors.data.map(x => x / scale) }, params, ctx)
  const parts = {
    ...packLayers(fitted, params.weightBits),
    scale: tensor('F32', [1], Float32Array.of(scale)),
  }
  const layers = readLayers(parts, implicitLayers(params), params.weightBits)
  const table = scaledTable(layers, params, parts.scale.data[0])
  const across = Math.ceil(w.cols / params.dim)
  const codes = new Uint16Array(w.rows * across)
  let filled = 0

  return {
    tileCols: params.dim,
    tileRows: 1,
    groupCols: params.dim,
    quantise(block, row, col) {
      const nearest = nearestCentroid(padded(block, params.dim), table)
      for (let i = 0; i < block.rows; i++) codes[(row + i) * across + col / params.dim] = nearest[i]
      filled += block.rows
      return lookUp(table, nearest, block.cols)
    },
    finish() {
      if (filled < codes.length) {
        throw new ReallmError(
          'bad-option',
          `implicit [${shape.join('×')}]: ${codes.length - filled} vectors are missing`,
        )
      }
      const bits = vectorBits(params)
      const packed = tensor('U8', [packedBytes(codes.length, bits)], packBits(codes, bits))
      return { codec: implicitLayout.codec, params, shape, parts: { codes: packed, ...parts } }
    },
  }
}

function decodeRows(e: Stored<typeof implicitLayout>, from: number, to: number): Matrix {
  const { dim } = e.params
  const { codes, layers, scale } = readImplicit(e, from, to)
  const table = scaledTable(layers, e.params, scale)
  const across = Math.ceil(e.shape[1] / dim)
  const out = zeroMatrix(to - from, e.shape[1])
  for (let i = 0; i < out.data.length; i++) {
    const [row, col] = [Math.floor(i / out.cols), i % out.cols]
    out.data[i] = table.data[codes[row * across + Math.floor(col / dim)] * dim + (col % dim)]
  }
  return out
}

function scaledTable(layers: readonly DenseLayer[], params: ImplicitParams, scale: number): Matrix {
  const table = implicitTable(layers, params)
  for (let i = 0; i < table.data.length; i++) table.data[i] *= scale
  return table
}

/** All vectors of a matrix, `[rows·⌈cols/dim⌉, dim]`, the last one of a row padded with zeros. */
function vectorsOf(w: Matrix, dim: number): Matrix {
  const across = Math.ceil(w.cols / dim)
  const out = zeroMatrix(w.rows * across, dim)
  for (let row = 0; row < w.rows; row++) {
    out.data.set(w.data.subarray(row * w.cols, (row + 1) * w.cols), row * across * dim)
  }
  return out
}

function padded(block: Matrix, width: number): Matrix {
  return block.cols === width ? block : vectorsOf(block, width)
}

function lookUp(table: Matrix, rows: Uint32Array, width: number): Matrix {
  const out = zeroMatrix(rows.length, width)
  rows.forEach((row, i) => {
    out.data.set(table.data.subarray(row * table.cols, row * table.cols + width), i * width)
  })
  return out
}
