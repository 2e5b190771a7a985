import type { ComputedTensor } from '../overlay-store.ts'
import { type Parts, refuse } from './parts.ts'

/** Integers with a scale and a zero point for each group of inputs: `w = scale · (code − zero)`. */
export interface Integers {
  /** `[out, in]`. */
  readonly shape: readonly [rows: number, cols: number]
  readonly codes: ArrayLike<number>
  readonly scales: Float32Array
  /** One for each scale, or one for all. */
  readonly zeros: ArrayLike<number> | number
  /** The group of each input. */
  readonly groupOf: ArrayLike<number>
  /** Distances in `codes` from one output to the next, and from one input to the next. */
  readonly codeStrides: readonly [perOutput: number, perInput: number]
  /** Distances in `scales` and `zeros` from one output to the next, and from one group to the next. */
  readonly scaleStrides: readonly [perOutput: number, perGroup: number]
}

/** Outputs that are decoded side by side: where their codes are neighbours, each line of memory is read once. */
const TILE = 16

/** Rows `from` to `to` (exclusive) in float32. */
function decodeIntegers(
  { shape, codes, scales, zeros, groupOf, codeStrides, scaleStrides }: Integers,
  from: number,
  to: number,
): Float32Array<ArrayBuffer> {
  const cols = shape[1]
  const out = new Float32Array((to - from) * cols)
  const [perOutput, perInput] = codeStrides
  for (let tile = from; tile < to; tile += TILE) {
    const end = Math.min(to, tile + TILE)
    for (let col = 0; col < cols; col++) {
      const group = groupOf[col] * scaleStrides[1]
      for (let row = tile; row < end; row++) {
        const scale = row * scaleStrides[0] + group
        const zero = typeof zeros === 'number' ? zeros : zeros[scale]
        out[(row - from) * cols + col] = scales[scale] * (codes[row * perOutput + col * perInput] - zero)
      }
    }
  }
  return out
}

/** What is known of a matrix before its parts are read. */
export interface IntegerMatrix {
  readonly module: string
  readonly dtype: string
  readonly shape: readonly [rows: number, cols: number]
  readonly parts: Parts
  /** Those that it is made of, where they are there. */
  readonly names: readonly string[]
}

/** `<module>.weight`, decoded; `open` reads the parts. */
export function integerMatrix(
  { module, dtype, shape, parts, names }: IntegerMatrix,
  open: () => Promise<Omit<Integers, 'shape'>>,
): [name: string, ComputedTensor] {
  const readRows = async () => {
    const integers = { shape, ...(await open()) }
    return (from: number, to: number) => decodeIntegers(integers, from, to)
  }
  const found = parts.found(names)
  return [
    `${module}.weight`,
    {
      label: module,
      dtype,
      shape,
      bytes: found.bytes,
      parts: found.names,
      read: async () => (await readRows())(0, shape[0]),
      readRows,
    },
  ]
}

/**
 * The group of each input: as a tensor says, otherwise in groups of equal size.
 *
 * @param listed the part with the groups, if there is one
 * @throws `bad-file` for inputs that are in no group
 */
export async function groupsOf(
  parts: Parts,
  listed: string,
  { inputs, groups, size = inputs / groups }: { inputs: number; groups: number; size?: number | undefined },
): Promise<Int32Array> {
  if (!parts.has(listed)) {
    if (Number.isInteger(size) && Math.ceil(inputs / size) === groups) {
      return Int32Array.from({ length: inputs }, (_, i) => Math.floor(i / size))
    }
    throw refuse(`${parts.where}: ${inputs} inputs are no ${groups} groups of ${size}`)
  }
  parts.need(listed, ['I32'], [inputs])
  const groupOf = await parts.words(listed)
  const wrong = groupOf.find(group => !(group >= 0 && group < groups))
  if (wrong === undefined) return groupOf
  throw refuse(`${parts.where}: an input is in group ${wrong}, there are ${groups}`)
}

/**
 * Reads codes that are packed down the columns of a matrix of 32-bit words, lowest bit first; a code may lie in two words.
 *
 * @param words `[rows · width / 32, cols]`, rounded up
 * @returns `[rows, cols]`
 */
export function unpackColumns(words: Int32Array, width: number, rows: number, cols: number): Uint8Array {
  const codes = new Uint8Array(rows * cols)
  const mask = 2 ** width - 1
  for (let row = 0; row < rows; row++) {
    const bit = row * width
    const shift = bit & 31
    const low = (bit >>> 5) * cols
    const split = shift + width > 32
    for (let col = 0; col < cols; col++) {
      let code = words[low + col] >>> shift
      if (split) code |= words[low + cols + col] << (32 - shift)
      codes[row * cols + col] = code & mask
    }
  }
  return codes
}
