import { matmul } from '@reallm/kernels'
import type { Matrix } from '@reallm/tensor-io'
import { ORDER_ROWS } from '@reallm/tensor-io/layouts'

/**
 * An order of columns for every block of 64 rows that puts similar columns into the same group of `dim`: the largest
 * column left opens a group, the nearest ones join it.
 *
 * @returns `[⌈rows / 64⌉, cols]`: which column comes at each place
 */
export function similarColumns(x: Matrix, dim: number): Uint16Array {
  const { cols } = x
  const blocks = Math.ceil(x.rows / ORDER_ROWS)
  const order = new Uint16Array(blocks * cols)
  for (let b = 0; b < blocks; b++) {
    const data = x.data.subarray(b * ORDER_ROWS * cols, Math.min(x.rows, (b + 1) * ORDER_ROWS) * cols)
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
    const block = Math.floor(r / ORDER_ROWS) * cols
    for (let place = 0; place < cols; place++)
      data[r * cols + place] = x.data[r * cols + order[block + place]]
  }
  return { rows, cols, data }
}
