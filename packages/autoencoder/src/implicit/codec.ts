import { nearestCentroid, storedLayers } from '@reallm/kernels'
import {
  type ColumnCodec,
  type ColumnEncoder,
  checkHessian,
  checkParts,
  checkShape,
  checkWeights,
  type EncodedMatrix,
  type Matrix,
  type MatrixShape,
  packBits,
  packedBytes,
  parseParams,
  ReallmError,
  type StorageCost,
  shapeText,
  tensor,
  throwIfAborted,
  unpackBits,
  zeroMatrix,
} from '@reallm/tensor-io'
import { packWeights, weightsCost } from '../decoder-weights.ts'
import { type ImplicitInput, type ImplicitParams, implicitParams, layerShapes, vectorBits } from './params.ts'
import { implicitTable } from './table.ts'

/**
 * A learned implicit codebook: each vector of `dim` weights has a few latent codes, and a small network decodes them
 * (LR²VQ, arXiv 2211.11397; QINCo, arXiv 2401.14732). Its table of all code combinations is made once, so that decoding
 * costs what a table costs, while the file holds only the network. One scale for the matrix.
 *
 * @example
 * const stored = await implicit.encode(w, implicit.params.parse({ dim: 6, codeBits: [6, 6] }), { seed: 1 }) // 2 bits
 */
export const implicit: ColumnCodec<ImplicitInput> = {
  name: 'implicit',
  params: implicitParams,

  cost: (shape, given) => costOf(shape, parse(given)),

  async encode(w, given, ctx) {
    const params = parse(given)
    const encoder = await this.columns(w, params, ctx)
    for (let col = 0; col < w.cols; col += params.dim) encoder.quantise(columnsOf(w, col, params.dim), 0, col)
    return encoder.finish()
  },

  async columns(w, given, ctx): Promise<ColumnEncoder> {
    throwIfAborted(ctx.signal)
    const params = parse(given)
    const shape = [w.rows, w.cols] as const
    costOf(shape, params)
    checkHessian(ctx.hessian, w.cols)
    checkWeights(w)
    const scale = Math.sqrt(w.data.reduce((sum, x) => sum + x * x, 0) / w.data.length) || 1
    const vectors = vectorsOf(w, params.dim)
    // Loaded on demand: what only decodes needs no training.
    const { fitImplicit } = await import('./fit.ts')
    const layers = await fitImplicit({ ...vectors, data: vectors.data.map(x => x / scale) }, params, ctx)
    const parts = {
      ...packWeights(layers, params.weightBits),
      scale: tensor('F32', [1], Float32Array.of(scale)),
    }
    const stored = storedLayers(parts, layerShapes(params), params.weightBits)
    const table = implicitTable(stored, params)
    for (let i = 0; i < table.data.length; i++) table.data[i] *= parts.scale.data[0]
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
        return { codec: 'implicit', params, shape, parts: { codes: packed, ...parts } }
      },
    }
  },

  decode(e) {
    return decodeRows(e, 0, e.shape[0])
  },

  decodeRows,
}

const parse = (params: unknown): ImplicitParams => parseParams('implicit', implicitParams, params)

function costOf([rows, cols]: MatrixShape, params: ImplicitParams): StorageCost {
  checkShape([rows, cols])
  return {
    codes: { dtype: 'U8', shape: [packedBytes(rows * Math.ceil(cols / params.dim), vectorBits(params))] },
    scale: { dtype: 'F32', shape: [1] },
    ...weightsCost(layerShapes(params), params.weightBits),
  }
}

function decodeRows(e: EncodedMatrix, from: number, to: number): Matrix {
  const params = parse(e.params)
  checkParts(e, costOf(e.shape, params))
  if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from <= to && to <= e.shape[0])) {
    throw new ReallmError('bad-option', `implicit ${shapeText(e.shape)} has no rows ${from} to ${to}`)
  }
  const table = implicitTable(storedLayers(e.parts, layerShapes(params), params.weightBits), params)
  const [scale] = e.parts.scale.data as Float32Array
  for (let i = 0; i < table.data.length; i++) table.data[i] *= scale
  const across = Math.ceil(e.shape[1] / params.dim)
  const packed = e.parts.codes.data as Uint8Array
  const codes = unpackBits(packed, vectorBits(params), (to - from) * across, from * across)
  const out = zeroMatrix(to - from, e.shape[1])
  for (let i = 0; i < out.data.length; i++) {
    const [row, col] = [Math.floor(i / out.cols), i % out.cols]
    out.data[i] =
      table.data[codes[row * across + Math.floor(col / params.dim)] * params.dim + (col % params.dim)]
  }
  return out
}

/** All vectors of a matrix, `[rows·⌈cols/dim⌉, dim]`, the last of a row filled with zeros. */
function vectorsOf(w: Matrix, dim: number): Matrix {
  const across = Math.ceil(w.cols / dim)
  const out = zeroMatrix(w.rows * across, dim)
  for (let row = 0; row < w.rows; row++) {
    out.data.set(w.data.subarray(row * w.cols, (row + 1) * w.cols), row * across * dim)
  }
  return out
}

function columnsOf(w: Matrix, col: number, width: number): Matrix {
  const block = zeroMatrix(w.rows, Math.min(width, w.cols - col))
  for (let row = 0; row < w.rows; row++) {
    block.data.set(w.data.subarray(row * w.cols + col, row * w.cols + col + block.cols), row * block.cols)
  }
  return block
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
