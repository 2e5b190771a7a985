import { ReallmError } from '../core/errors.ts'
import { sizeOf, type Tensor, tensor } from '../core/tensor.ts'
import type { ModelFiles } from '../formats/model-files.ts'
import { type Rows, rowShape } from '../formats/store.ts'
import { copyInStack, type InStack } from './stacks.ts'

/** A stored tensor that holds one of the model's, or part of what it is made of. */
export interface StoredAs {
  readonly name: string
  readonly shape: readonly number[]
  /** It holds codes whose meaning is known. */
  readonly codes?: true
}

/** Names of a stack that is stored in MXFP4: blocks of 32 values in four bits each, `[experts, rows, blocks, 16]`. */
const blocksOf = (name: string) => `${name}_blocks`
/** Exponents of two for each block, with 127 added, `[experts, rows, blocks]`. */
const scalesOf = (name: string) => `${name}_scales`

const BLOCK = 32

const isMxfp4 = ({ tensors }: ModelFiles, { name, shape }: InStack) =>
  shape.length === 3 && !tensors.has(name) && tensors.has(blocksOf(name))

/** What a stack is stored as. */
export function stackStoredAs(files: ModelFiles, place: InStack): readonly StoredAs[] {
  const { name, shape } = place
  if (!isMxfp4(files, place)) return [{ name, shape }]
  const [experts, ...matrix] = shape
  const [rows, cols] = place.transposed ? [matrix[1], matrix[0]] : matrix
  const scales = [experts, rows, cols / BLOCK]
  return [
    { name: blocksOf(name), shape: [...scales, BLOCK / 2], codes: true },
    { name: scalesOf(name), shape: scales, codes: true },
  ]
}

/** Reads a tensor of `shape` out of a stack, or rows of it. */
export async function readInStack(
  files: ModelFiles,
  place: InStack,
  shape: readonly number[],
  rows: Rows = [0, shape[0]],
): Promise<Tensor<'F32'>> {
  const part = rowShape(place.name, { shape }, rows)
  const at = { ...place, from: place.from + rows[0] * place.step }
  const values = new Float32Array(sizeOf(part))
  if (isMxfp4(files, place)) {
    const stored = await readMxfp4(files, place, shape[1])
    copyInStack({ ...at, transposed: false }, part, values, stored, 'from')
  } else {
    const { data } = await files.readFloat32(place.name, [place.expert, place.expert + 1])
    copyInStack(at, part, values, data, 'from')
  }
  return tensor('F32', part, values)
}

/** Values of the four bits of a code: E2M1. */
const fp4 = Float32Array.of(0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6)

/**
 * One expert of a stack in MXFP4 (OCP Microscaling Formats 1.0), `[rows, columns]`: the lower four bits of a byte come before
 * the upper ones.
 */
async function readMxfp4(files: ModelFiles, { name, expert }: InStack, cols: number): Promise<Float32Array> {
  const rows = [expert, expert + 1] as const
  const codes = (await files.readFloat32(blocksOf(name), rows)).data
  const exponents = (await files.readFloat32(scalesOf(name), rows)).data
  const values = new Float32Array(codes.length * 2)
  for (const [block, exponent] of exponents.entries()) {
    const scale = 2 ** (exponent - 127)
    for (let k = 0; k < BLOCK / 2; k++) {
      const byte = codes[(block * BLOCK) / 2 + k]
      values[block * BLOCK + 2 * k] = scale * fp4[byte & 15]
      values[block * BLOCK + 2 * k + 1] = scale * fp4[byte >> 4]
    }
  }
  if (values.length % cols === 0) return values
  throw new ReallmError('bad-file', `${blocksOf(name)}: its blocks do not fill rows of ${cols}`)
}
