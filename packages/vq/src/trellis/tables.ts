import { networkTable, networkWeights, networkWidth, trellisTable } from '@reallm/kernels'
import {
  f16ToF32,
  f32ToF16,
  ReallmError,
  type StorageCost,
  type Tensor,
  tensor,
  toFloat32,
} from '@reallm/tensor-io'
import type { Full } from './params.ts'

/** 8-bit table values are multiples of this. */
const STEP = 1 / 32

/** What the values of the states take on disk, at one rate; nothing where they are computed or fixed. */
export function valuesCost(params: Full, bits: number): StorageCost {
  const { values, tableBits, stateBits, hidden } = params
  switch (values) {
    case 'trained':
      return { [`table${bits}`]: { dtype: tableBits === 8 ? 'I8' : 'F16', shape: [2 ** stateBits] } }
    case 'network':
      return {
        [`network${bits}`]: { dtype: 'I8', shape: [hidden, networkWidth(stateBits)] },
        [`networkSteps${bits}`]: { dtype: 'F16', shape: [2] },
      }
    default:
      return {}
  }
}

/** The values of the states, from what is stored of them. */
export function valuesOf(
  parts: Readonly<Record<string, Tensor>>,
  { values, stateBits }: Full,
  bits: number,
): Float32Array {
  switch (values) {
    case 'trained':
      return storedTable(parts[`table${bits}`])
    case 'network': {
      const codes = parts[`network${bits}`].data as Int8Array
      const steps = f16ToF32(parts[`networkSteps${bits}`].data as Uint16Array)
      return networkTable(stateBits, bits, networkWeights(codes, steps, stateBits))
    }
    default:
      return trellisTable(values, stateBits, bits)
  }
}

/** A trained table in its stored precision. */
export function storeTable(values: Float32Array, { tableBits }: Full): Tensor {
  const shape = [values.length]
  if (tableBits === 16) return tensor('F16', shape, f32ToF16(values))
  const codes = Int8Array.from(values, v => Math.max(-127, Math.min(127, Math.round(v / STEP))))
  return tensor('I8', shape, codes)
}

const storedTable = (table: Tensor): Float32Array =>
  table.dtype === 'I8' ? toFloat32(table).map(v => v * STEP) : toFloat32(table)

/** A network in its stored precision. */
export interface StoredNetwork {
  readonly codes: Int8Array<ArrayBuffer>
  readonly steps: Uint16Array<ArrayBuffer>
}

/** Puts a network's weights `[hidden, networkWidth(L)]` on 8 bits; throws `numeric` where they have grown beyond f16. */
export function storeNetwork(weights: Float32Array, stateBits: number): StoredNetwork {
  const width = networkWidth(stateBits)
  const largest = new Float32Array(2)
  for (let i = 0; i < weights.length; i++) {
    const group = +(i % width === width - 1)
    largest[group] = Math.max(largest[group], Math.abs(weights[i]))
  }
  if (!largest.every(v => v < 60_000)) {
    throw new ReallmError('numeric', 'the trellis network has grown beyond what it is stored as')
  }
  const steps = f32ToF16(largest.map(v => Math.max(v / 127, 2 ** -14)))
  const exact = f16ToF32(steps)
  const codes = Int8Array.from(weights, (v, i) =>
    Math.max(-127, Math.min(127, Math.round(v / exact[+(i % width === width - 1)]))),
  )
  return { codes, steps }
}

/** The tensors of a stored network, and the weights they stand for. */
export const networkParts = (
  { codes, steps }: StoredNetwork,
  stateBits: number,
  bits: number,
): Record<string, Tensor> => {
  const width = networkWidth(stateBits)
  return {
    [`network${bits}`]: tensor('I8', [codes.length / width, width], codes),
    [`networkSteps${bits}`]: tensor('F16', [2], steps),
  }
}
