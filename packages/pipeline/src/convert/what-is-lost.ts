import { bytesText, counted, type ModelFiles, sizeOf } from '@reallm/tensor-io'
import type { StoredAs } from './storable.ts'

/** Plain dtypes whose values each of ours holds exactly. */
const exact: Readonly<Record<StoredAs, readonly string[]>> = {
  f32: ['F32', 'F16', 'BF16'],
  f16: ['F16'],
  bf16: ['BF16'],
  q8_0: ['Q8_0'],
}

/** What a conversion of a model's weights loses, a sentence each: packed codes, and precision. */
export function whatIsLost(
  { tensors, bytes }: Pick<ModelFiles, 'tensors' | 'bytes'>,
  dtype: StoredAs,
  written: number,
): string[] {
  const matrices = [...tensors.values()].filter(({ shape }) => shape.length > 1)
  const packed = matrices.filter(t => 8 * t.bytes < 16 * sizeOf(t.shape))
  const rounded = matrices.filter(t =>
    packed.includes(t) ? dtype !== 'f32' && !exact[dtype].includes(t.dtype) : !exact[dtype].includes(t.dtype),
  )
  return [
    ...(packed.length > 0 && written > bytes
      ? [
          `${counted(packed.length, 'packed tensor')} decoded: ${bytesText(bytes)} become ${bytesText(written)}; compress --target packs a model for another program`,
        ]
      : []),
    ...(rounded.length > 0 ? [`${counted(rounded.length, 'tensor')} rounded to ${dtype}`] : []),
  ]
}
