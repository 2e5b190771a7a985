import type { Images } from '@reallm/kernels'
import { f16ToF32, f32ToF16, type Matrix } from '@reallm/tensor-io'
import { eachPatchRow, patchCount } from '@reallm/tensor-io/layouts'

/** Cuts a matrix into square one-channel images `[count, side, side, 1]`, left to right, then down; zeros beyond its edges. */
export function toPatches(w: Matrix, side: number): Images {
  const count = patchCount([w.rows, w.cols], side)
  const data = new Float32Array(count * side * side)
  eachPatchRow([w.rows, w.cols], side, (inPatches, inMatrix, length) => {
    data.set(w.data.subarray(inMatrix, inMatrix + length), inPatches)
  })
  return { count, height: side, width: side, channels: 1, data }
}

/** Largest absolute value of each patch, or of all of them, as f16 codes: the scales S. */
export function absmaxScales({ count, data }: Images, together = false): Uint16Array<ArrayBuffer> {
  const size = together ? data.length : data.length / count
  const largest = Float32Array.from({ length: data.length / size }, (_, p) =>
    data.subarray(p * size, (p + 1) * size).reduce((most, x) => Math.max(most, Math.abs(x)), 0),
  )
  return f32ToF16(largest)
}

/** Each patch times its factor, or all of them times a single one. */
export function scalePatches(patches: Images, factors: Float32Array): Images {
  const size = patches.data.length / factors.length
  return { ...patches, data: patches.data.map((x, i) => x * factors[Math.floor(i / size)]) }
}

/** Factors that bring patches with the given stored scales to [−1, 1]. */
export const inverseScales = (scales: Uint16Array): Float32Array =>
  f16ToF32(scales).map(s => (s > 0 ? 1 / s : 0))
