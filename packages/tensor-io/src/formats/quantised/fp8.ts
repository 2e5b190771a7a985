import type { ComputedTensor, ReadRows } from '../overlay-store.ts'
import type { TensorStore } from '../store.ts'
import { floatTypes, partsOf, refuse } from './parts.ts'
import type { Scheme } from './scheme.ts'

const eightBits = ['F8_E4M3', 'F8_E5M2']
const endings = ['_scale_inv', '_scale']
/** Scales of activations, which are floats here. */
const ofActivations = ['input_scale', 'activation_scale', 'output_scale']

/** The sides of a block. */
export const isBlock = (value: unknown): value is [number, number] =>
  Array.isArray(value) && value.length === 2 && value.every(side => Number.isInteger(side) && side > 0)

/** Floats of 8 bits with a scale for each tensor, row or block, whatever tool wrote them. */
export const fp8 = (description: string, block?: readonly [number, number]): Scheme => ({
  description,
  decoded: (where, store) => float8Tensors(where, store, block),
})

/**
 * Every tensor of floats of 8 bits, times the scales beside it: `<name>_scale_inv` or `<name>_scale`, of one value, one a
 * row, or one a block.
 *
 * @param block sides of the blocks; without, they divide the matrix evenly
 */
export function float8Tensors(
  where: string,
  store: TensorStore,
  block?: readonly [number, number],
): Map<string, ComputedTensor> {
  const found = new Map<string, ComputedTensor>()
  for (const [name, { dtype, shape }] of store.tensors) {
    if (!eightBits.includes(dtype)) continue
    const ending = endings.find(ending => store.tensors.has(name + ending))
    if (ending === undefined) throw refuse(`${where}: ${name} is stored in 8 bits without a scale`)
    found.set(name, scaled(where, store, { name, dtype, shape, ending, block }))
  }
  return found
}

interface Scaled {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  readonly ending: string
  readonly block: readonly [number, number] | undefined
}

function scaled(
  where: string,
  store: TensorStore,
  { name, dtype, shape, ending, block }: Scaled,
): ComputedTensor {
  const parts = partsOf(where, store, name)
  const layout = layoutOf(`${where}: ${name}`, shape, store.tensors.get(name + ending)!.shape, block)
  parts.need(ending, floatTypes, store.tensors.get(name + ending)!.shape)
  const beside = ofActivations
    .map(part => name.replace(/[^.]*$/, part))
    .filter(part => store.tensors.has(part))
  const { bytes } = parts.found(['', ending])
  const readRows = async (): Promise<ReadRows> => {
    const scales = await parts.floats(ending)
    return async (from, to) => {
      const { data } = await store.readFloat32(name, [from, to])
      scale(data, from, scales, layout)
      return data as Float32Array<ArrayBuffer>
    }
  }
  return {
    label: name,
    dtype: `${dtype} scaled`,
    shape,
    bytes,
    parts: [name, name + ending, ...beside],
    read: async () => (await readRows())(0, shape[0] ?? 1),
    readRows,
  }
}

/** How the scales of a matrix, or of a stack of them, lie: blocks of `high` rows and `wide` columns. */
interface Layout {
  /** Values below one index of the first axis. */
  readonly below: number
  readonly rows: number
  readonly cols: number
  readonly high: number
  readonly wide: number
}

function layoutOf(
  where: string,
  shape: readonly number[],
  scales: readonly number[],
  block: readonly [number, number] | undefined,
): Layout {
  const [rows, cols] = shape.length < 2 ? [1, shape[0] ?? 1] : shape.slice(-2)
  const below = shape.slice(1).reduce((n, side) => n * side, 1)
  const values = shape.reduce((n, side) => n * side, 1)
  const count = scales.reduce((n, side) => n * side, 1)
  // one scale for all: rows of a single block
  if (count === 1) return { below, rows: values / cols, cols, high: values / cols, wide: cols }
  const sizes: (readonly [high: number, wide: number])[] = [
    ...(block ? [block] : []),
    [1, cols],
    [rows, cols],
  ]
  const fits = sizes.find(([high, wide]) => {
    const [down, across] = [Math.ceil(rows / high), Math.ceil(cols / wide)]
    const sides = scales.length < shape.length || scales.slice(-2).join() === [down, across].join()
    return sides && count === (values / (rows * cols)) * down * across
  })
  if (fits) return { below, rows, cols, high: fits[0], wide: fits[1] }
  throw refuse(`${where} [${shape.join('×')}] does not fit its scales [${scales.join('×')}]`)
}

/** Multiplies values that begin at index `from` of the first axis by their scales. */
function scale(
  data: Float32Array,
  from: number,
  scales: Float32Array,
  { below, rows, cols, high, wide }: Layout,
): void {
  const down = Math.ceil(rows / high)
  const across = Math.ceil(cols / wide)
  const firstRow = (from * below) / cols
  for (let at = 0; at < data.length; at += cols) {
    const row = firstRow + at / cols
    const line = Math.floor(row / rows) * down + Math.floor((row % rows) / high)
    for (let block = 0; block < across; block++) {
      const factor = scales[line * across + block]
      const end = at + Math.min(cols, (block + 1) * wide)
      for (let i = at + block * wide; i < end; i++) data[i] *= factor
    }
  }
}
