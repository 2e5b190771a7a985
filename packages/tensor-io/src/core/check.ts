import { ReallmError } from './errors.ts'
import { type Matrix, type MatrixShape, sizeOf } from './tensor.ts'

/** A shape as in error messages: `[576×1536]`. */
export const shapeText = ([rows, cols]: MatrixShape): string => `[${rows}×${cols}]`

/** Where the value at an index lies in a tensor, as in error messages: `row 2, column 5`. */
export function placeText(shape: readonly number[], index: number): string {
  const width = sizeOf(shape.slice(1))
  return shape.length > 1 ? `row ${Math.floor(index / width)}, column ${index % width}` : `position ${index}`
}

/** Throws `bad-option` unless both sides are whole numbers of at least 1. */
export function checkShape([rows, cols]: MatrixShape): void {
  if (!Number.isInteger(rows) || !Number.isInteger(cols) || rows < 1 || cols < 1) {
    throw new ReallmError('bad-option', `${shapeText([rows, cols])}: a matrix needs at least one weight`)
  }
}

/** Throws `bad-option` unless `from` to `to` (exclusive) are rows of the shape. */
export function checkRows(shape: MatrixShape, from: number, to: number): void {
  const whole = Number.isInteger(from) && Number.isInteger(to)
  if (!(whole && from >= 0 && from <= to && to <= shape[0])) {
    throw new ReallmError('bad-option', `${shapeText(shape)} has no rows ${from} to ${to}`)
  }
}

/** Throws `numeric` for NaN and infinities, naming the first place. */
export function checkWeights(w: Matrix): void {
  const { data, rows, cols } = w
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(data[i])) {
      const [row, col] = [Math.floor(i / cols), i % cols]
      throw new ReallmError('numeric', `${shapeText([rows, cols])}: weight [${row}, ${col}] is ${data[i]}`, {
        hint: 'the source tensor is damaged or overflowed: check it before compressing',
      })
    }
  }
}

/** Throws `bad-tensor` when a second moment does not fit the columns it belongs to. */
export function checkHessian(hessian: Matrix | undefined, cols: number): void {
  if (hessian && (hessian.rows !== cols || hessian.cols !== cols)) {
    throw new ReallmError(
      'bad-tensor',
      `the Hessian is ${shapeText([hessian.rows, hessian.cols])}, the weights have ${cols} columns`,
      { hint: `H = XᵀX / tokens of the layer's inputs is ${shapeText([cols, cols])}` },
    )
  }
}
