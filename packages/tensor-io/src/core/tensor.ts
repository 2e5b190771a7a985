import { byteLength, type DType, type Storage, storageOf } from './dtype.ts'
import { ReallmError } from './errors.ts'

/** Sizes of a tensor's axes, the outermost first. */
export type Shape = readonly number[]

/** `[rows, cols]` = `[out, in]`. */
export type MatrixShape = readonly [rows: number, cols: number]

/** An n-dimensional array in row-major order. `data` holds the stored form of `dtype` (BF16 as raw uint16). */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D
  readonly shape: Shape
  readonly data: Storage<D>
}

/** A float32 matrix in row-major order. Linear layers are `[out, in]`: `y = x Wᵀ`. */
export interface Matrix {
  readonly rows: number
  readonly cols: number
  readonly data: Float32Array
}

/** Number of elements of a shape. */
export const sizeOf = (shape: Shape): number => shape.reduce((n, d) => n * d, 1)

/** Wraps (does not copy) `data` as a tensor; the length must fit `dtype` and `shape`. */
export function tensor<D extends DType>(dtype: D, shape: Shape, data: Storage<D>): Tensor<D> {
  const bytes = byteLength(dtype, sizeOf(shape))
  if (data.byteLength !== bytes) {
    throw new ReallmError(
      'bad-tensor',
      `a ${dtype} tensor of shape [${shape}] needs ${bytes} bytes, got ${data.byteLength}`,
    )
  }
  return { dtype, shape, data }
}

/** The stored bytes of a tensor; a view, not a copy. */
export const tensorBytes = ({ data }: Tensor): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

/** A tensor of zeros. */
export function zeros<D extends DType>(dtype: D, shape: Shape): Tensor<D> {
  return { dtype, shape, data: storageOf(dtype, new ArrayBuffer(byteLength(dtype, sizeOf(shape)))) }
}

/**
 * Wraps `data` as a `[rows, cols]` float32 matrix; a Float32Array is not copied.
 *
 * @example
 * const m = matrix([1, 2, 3, 4, 5, 6], [2, 3])
 */
export function matrix(data: ArrayLike<number>, [rows, cols]: readonly [number, number]): Matrix {
  if (data.length !== rows * cols) {
    throw new ReallmError(
      'bad-tensor',
      `a [${rows}, ${cols}] matrix needs ${rows * cols} values, got ${data.length}`,
    )
  }
  return { rows, cols, data: data instanceof Float32Array ? data : Float32Array.from(data) }
}

/** A `[rows, cols]` matrix of zeros. */
export const zeroMatrix = (rows: number, cols: number): Matrix => ({
  rows,
  cols,
  data: new Float32Array(rows * cols),
})

/** A copy of a matrix. */
export const copyMatrix = (m: Matrix): Matrix => ({ rows: m.rows, cols: m.cols, data: m.data.slice() })
