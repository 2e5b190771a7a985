import { altered } from '../altered.ts'

/** Rows that share an order of columns (ReALLM §3.2). */
export const ORDER_ROWS = 64

/** Bits of a column's index. */
export const columnBits = (cols: number): number => Math.max(1, Math.ceil(Math.log2(cols)))

/** The order that was read; throws `bad-tensor` where it names a column there is not. */
export function checkOrder(order: Uint16Array, cols: number): Uint16Array {
  const stray = order.find(c => c >= cols)
  if (stray === undefined) return order
  throw altered(`the stored permutation names column ${stray} of ${cols}`)
}
