import { matmul } from '@reallm/kernels'
import { type Matrix, ReallmError, type Tensor } from '@reallm/tensor-io'
import { unpackRow } from '../shared/pack-rows.ts'

/** Rows that share an order of columns (ReALLM §3.2). */
export const BLOCK_ROWS = 64

/** Bits of a column's number. */
export const columnBits = (cols: number): number => Math.max(1, Math.ceil(Math.log2(cols)))

/**
 * An order of columns for every block of 64 rows that puts similar columns into the same group of `dim`: the largest
 * column left opens a group, the nearest ones join it.
 *
 * @returns `[⌈rows / 64⌉, cols]`: which column comes at each place
 */
export function similarColumns(x: Matrix, dim: number): Uint16Array {
  const { cols } = x
  const blocks = Math.ceil(x.rows / BLOCK_ROWS)
  const order = new Uint16Array(blocks * cols)
  for (let b = 0; b < blocks; b++) {
    const data = x.data.subarray(b * BLOCK_ROWS * cols, Math.min(x.rows, (b + 1) * BLOCK_ROWS) * cols)
    const block = { rows: data.length / cols, cols, data }
    groupColumns(matmul(block, block, { transposeA: true }), dim, order.subarray(b * cols, (b + 1) * cols))
  }
  return order
}

function groupColumns(products: Matrix, dim: number, order: Uint16Array): void {
  const cols = order.length
  const norm = Float32Array.from({ length: cols }, (_, c) => products.data[c * cols + c])
  const byNorm = Array.from(norm.keys()).sort((a, b) => norm[b] - norm[a])
  const used = new Uint8Array(cols)
  let place = 0
  for (const leader of byNorm) {
    if (used[leader]) continue
    order[place++] = leader
    used[leader] = 1
    for (let member = 1; member < dim && place < cols; member++) {
      let nearest = -1
      let least = Number.POSITIVE_INFINITY
      for (let c = 0; c < cols; c++) {
        if (used[c]) continue
        const distance = norm[c] - 2 * products.data[leader * cols + c]
        if (distance < least) {
          least = distance
          nearest = c
        }
      }
      order[place++] = nearest
      used[nearest] = 1
    }
  }
}

/** Puts the columns of every block of 64 rows in their order. */
export function permuteColumns(x: Matrix, order: Uint16Array): Matrix {
  const { rows, cols } = x
  const data = new Float32Array(x.data.length)
  for (let r = 0; r < rows; r++) {
    const block = Math.floor(r / BLOCK_ROWS) * cols
    for (let place = 0; place < cols; place++)
      data[r * cols + place] = x.data[r * cols + order[block + place]]
  }
  return { rows, cols, data }
}

/** The stored order of columns that belongs to a row; throws `bad-tensor` where it names a column there is not. */
export function readOrder(permutation: Tensor, row: number, cols: number): Uint16Array {
  const order = unpackRow(permutation, Math.floor(row / BLOCK_ROWS), cols, columnBits(cols))
  const stray = order.find(c => c >= cols)
  if (stray !== undefined) {
    throw new ReallmError('bad-tensor', `the stored permutation names column ${stray} of ${cols}`, {
      hint: 'the file was altered: fetch or compress it again',
    })
  }
  return order
}
