import { packedBytes, unpackBits } from '../../core/bits.ts'
import type { Fields, FullParams } from '../field.ts'
import type { Stored, StoredLayout } from '../layout.ts'
import { checkOrder, columnBits, ORDER_ROWS } from './column-order.ts'

const params = {
  /** What columns are sorted by: `importance`, the same for all rows, or `similarity`, for every 64 rows. */
  by: { of: ['importance', 'similarity'], default: 'importance' },
} as const satisfies Fields

type Params = FullParams<typeof params>

/**
 * The wrapped matrix has the columns in another order.
 *
 * Parts: `order` U8: for all rows, or by `similarity` for every 64 rows, which column comes at each place, ⌈log₂ cols⌉ bits each.
 */
export const permutationLayout: StoredLayout<typeof params> = {
  codec: 'permutation',
  wraps: true,
  params,
  parts: ([rows, cols], params) => ({
    order: { dtype: 'U8', shape: [packedBytes(orderCount(rows, params) * cols, columnBits(cols))] },
  }),
}

/** Orders of a matrix. */
export const orderCount = (rows: number, { by }: Params): number =>
  by === 'similarity' ? Math.ceil(rows / ORDER_ROWS) : 1

/** `[orders, cols]`: one for all rows, or one for each 64 of them; throws `bad-tensor` where one names a column there is not. */
export function readOrder({
  parts,
  shape: [rows, cols],
  params,
}: Stored<typeof permutationLayout>): Uint16Array {
  const packed = parts.order.data as Uint8Array
  return checkOrder(unpackBits(packed, columnBits(cols), orderCount(rows, params) * cols), cols)
}
