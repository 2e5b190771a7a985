import { trellisTable } from '@reallm/kernels'
import { f32ToF16, type StorageCost, type Tensor, tensor, toFloat32 } from '@reallm/tensor-io'
import type { Full } from './codec.ts'

/** 8-bit table values are multiples of this. */
const STEP = 1 / 32

/** The table of a code whose values are not stored; throws `bad-option` where there is none. */
export const fixedTable = ({ values, stateBits }: Full, bits: number): Float32Array =>
  trellisTable(values === 'hash' ? 'hash' : 'gauss', stateBits, bits)

/** What a trained table takes. */
export const tableCost = ({ tableBits, stateBits }: Full): StorageCost[string] => ({
  dtype: tableBits === 8 ? 'I8' : 'F16',
  shape: [2 ** stateBits],
})

/** A trained table in its stored precision. */
export function storeTable(values: Float32Array, { tableBits }: Full): Tensor {
  const shape = [values.length]
  if (tableBits === 16) return tensor('F16', shape, f32ToF16(values))
  const codes = Int8Array.from(values, v => Math.max(-127, Math.min(127, Math.round(v / STEP))))
  return tensor('I8', shape, codes)
}

/** The values of a stored table. */
export const storedTable = (table: Tensor): Float32Array =>
  table.dtype === 'I8' ? toFloat32(table).map(v => v * STEP) : toFloat32(table)
