import type { ReallmError } from '../../core/errors.ts'
import { type Matrix, type MatrixShape, type Tensor, zeroMatrix } from '../../core/tensor.ts'
import { tileOf } from '../../core/tiles.ts'
import type { ColumnCodec, MatrixCodec } from '../codec.ts'
import { bitsOf, type EncodedMatrix, partsOf } from '../encoded-matrix.ts'
import { assert, equal, near, refused, rejected, same, sameParts } from './assert.ts'
import { normals, relativeError } from './measure.ts'
import { mutations } from './mutations.ts'

export async function checkRoundTrip<P>(
  codec: MatrixCodec<P>,
  params: P,
  [rows, cols]: MatrixShape = [48, 96],
) {
  const w = normals(rows, cols, 2)
  const before = w.data.slice()
  const e = await codec.encode(w, params, { seed: 1 })
  same(w.data, before, 'encode changed its input')
  equal(e.codec, codec.layout.codec, 'codec')
  equal(String(e.shape), `${rows},${cols}`, 'shape')
  const decoded = codec.decode(e)
  equal(
    `${decoded.rows}×${decoded.cols}, ${decoded.data.length}`,
    `${rows}×${cols}, ${rows * cols}`,
    'decoded',
  )
  assert(decoded.data.every(Number.isFinite), 'decoded weights are not all finite')
  same(codec.decode(reloaded(e)).data, decoded.data, 'decode of parts and JSON parameters read back')
}

export async function checkCost<P>(codec: MatrixCodec<P>, params: P, [rows, cols]: MatrixShape) {
  const cost = codec.cost([rows, cols], params)
  const e = await codec.encode(normals(rows, cols, 3), params, { seed: 1 })
  const parts = partsOf(e)
  const text = (tensors: Readonly<Record<string, Pick<Tensor, 'dtype' | 'shape'>>>) =>
    Object.entries(tensors)
      .map(([name, { dtype, shape }]) => `${name} ${dtype} [${shape}]`)
      .sort()
      .join(', ')
  equal(text(parts), text(cost), `stored tensors of [${rows}×${cols}]`)
  equal(bitsOf(e), bitsOf(cost), 'bits')
  equal(
    Object.values(parts).reduce((sum, part) => sum + 8 * part.data.byteLength, 0),
    bitsOf(cost),
    'bits written',
  )
}

export async function checkSeed<P>(codec: MatrixCodec<P>, params: P, cols = 96) {
  const w = normals(48, cols, 4)
  sameParts(
    await codec.encode(w, params, { seed: 7 }),
    await codec.encode(w, params, { seed: 7 }),
    'same seed',
  )
}

export async function checkError<P>(codec: MatrixCodec<P>, params: P, w: Matrix, ceiling: number) {
  const error = relativeError(w, codec.decode(await codec.encode(w, params, { seed: 1 })))
  assert(error <= ceiling, `error ${error.toFixed(5)} is above ${ceiling}`)
}

export async function checkFlat<P>(codec: MatrixCodec<P>, params: P, cols = 64) {
  const zero = codec.decode(await codec.encode(zeroMatrix(32, cols), params, { seed: 1 }))
  assert(
    zero.data.every(v => Math.abs(v) < 1e-3),
    'zeros do not decode to zeros',
  )
  const constant = zeroMatrix(32, cols)
  constant.data.fill(0.25)
  const decoded = codec.decode(await codec.encode(constant, params, { seed: 1 }))
  assert(decoded.data.every(Number.isFinite), 'a constant matrix does not decode to finite weights')
}

export async function checkHessian<P>(codec: MatrixCodec<P>, params: P, cols = 64) {
  const hessian = zeroMatrix(cols, cols)
  for (let i = 0; i < cols; i++) hessian.data[i * (cols + 1)] = i < 8 ? 100 : 1
  const w = normals(32, cols, 5)
  const e = await codec.encode(w, params, { seed: 1, hessian })
  assert(codec.decode(e).data.every(Number.isFinite), 'decoded weights are not all finite')
  equal(bitsOf(e), bitsOf(codec.cost([32, cols], params)), 'bits')
  await rejected(codec.encode(w, params, { seed: 1, hessian: zeroMatrix(3, 3) }), 'bad-tensor', /hessian/i)
}

export async function checkAbort<P>(codec: MatrixCodec<P>, params: P, cols = 128) {
  const w = normals(64, cols, 6)
  await rejected(codec.encode(w, params, { seed: 1, signal: AbortSignal.abort() }), 'aborted')
  const controller = new AbortController()
  let events = 0
  const onProgress = () => {
    events++
    controller.abort()
  }
  const working = codec.encode(w, params, { seed: 1, signal: controller.signal, onProgress })
  const outcome = await working.then(
    () => 'finished',
    (error: ReallmError) => error.code,
  )
  assert(events > 0, 'no progress was reported')
  equal(
    outcome,
    events === 1 && outcome === 'finished' ? 'finished' : 'aborted',
    'abort at the first progress event',
  )
}

export async function checkBadInput<P>(codec: MatrixCodec<P>, params: P, cols = 32) {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const w = normals(16, cols, 7)
    w.data[cols + 1] = value
    await rejected(
      codec.encode(w, params, { seed: 1 }),
      'numeric',
      new RegExp(`\\[16×${cols}\\].*\\[1, 1\\]`),
    )
  }
  await rejected(codec.encode(zeroMatrix(0, cols), params, { seed: 1 }), 'bad-option', /\[0×/)
  refused(() => codec.cost([16, 0], params), 'bad-option', /\[16×0\]/)
  const wrong = { ...params, noSuchOption: 1 }
  refused(() => codec.cost([16, cols], wrong), 'bad-option', /noSuchOption/)
}

export async function checkColumns<P>(codec: MatrixCodec<P> | ColumnCodec<P>, params: P, cols = 96) {
  assert('columns' in codec, 'has no columns(): skip with a reason')
  const w = normals(40, cols, 8)
  const whole = await codec.encode(w, params, { seed: 1 })
  const decoded = codec.decode(whole)
  const encoder = await codec.columns(w, params, { seed: 1 })
  const { tileCols, tileRows, groupCols } = encoder
  equal(
    groupCols % tileCols === 0 || groupCols >= w.cols,
    true,
    `groups of ${groupCols} hold whole tiles of ${tileCols}`,
  )
  const missing = await codec.columns(w, params, { seed: 1 })
  missing.quantise(tileOf(w, 0, 0, w.rows, tileCols), 0, 0)
  refused(() => missing.finish(), 'bad-option')
  for (let col = 0; col < w.cols; col += tileCols) {
    if (col % groupCols === 0) encoder.startGroup?.(tileOf(w, 0, col, w.rows, groupCols), col)
    for (let row = 0; row < w.rows; row += tileRows) {
      const block = tileOf(w, row, col, tileRows, tileCols)
      const out = encoder.quantise(block, row, col)
      equal(`${out.rows}×${out.cols}`, `${block.rows}×${block.cols}`, 'quantised block')
      near(out.data, tileOf(decoded, row, col, tileRows, tileCols).data, `block at [${row}, ${col}]`)
    }
  }
  sameParts(encoder.finish(), whole, 'columns, one tile after the other, and encode')
}

export async function checkRows<P>(codec: MatrixCodec<P>, params: P, cols = 48) {
  assert(codec.decodeRows, 'has no decodeRows(): skip with a reason')
  const e = await codec.encode(normals(70, cols, 9), params, { seed: 1 })
  const all = codec.decode(e)
  for (const [from, to] of [
    [0, 70],
    [5, 6],
    [15, 35],
    [69, 70],
    [7, 7],
  ]) {
    const rows = codec.decodeRows(e, from, to)
    equal(`${rows.rows}×${rows.cols}`, `${to - from}×${cols}`, 'rows')
    near(rows.data, all.data.subarray(from * cols, to * cols), `rows ${from} to ${to}`)
  }
  for (const [from, to] of [
    [-1, 2],
    [3, 71],
    [5, 4],
  ])
    refused(() => codec.decodeRows?.(e, from, to), 'bad-option')
}

export async function checkTampered<P>(codec: MatrixCodec<P>, params: P, cols = 64) {
  const e = await codec.encode(normals(32, cols, 10), params, { seed: 1 })
  for (const { what, code, names, matrix } of mutations(e)) {
    refused(() => codec.decode(matrix), code, new RegExp(names), what)
  }
}

/** The matrix as it comes back from a file: parameters through JSON, copied parts. */
function reloaded<P>(e: EncodedMatrix<P>): EncodedMatrix {
  const parts = Object.fromEntries(
    Object.entries(e.parts).map(([name, part]) => [name, { ...part, data: part.data.slice() } as Tensor]),
  )
  const { inner, ...rest } = e
  return {
    ...rest,
    params: JSON.parse(JSON.stringify(e.params)),
    parts,
    ...(inner && { inner: reloaded(inner) }),
  }
}
