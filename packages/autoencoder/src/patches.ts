import type { Images } from '@reallm/kernels'
import { f16ToF32, f32ToF16, type Matrix, type MatrixShape, zeroMatrix } from '@reallm/tensor-io'

/** Patches of a `[rows, cols]` matrix: ⌈rows/side⌉·⌈cols/side⌉. */
export const patchCount = ([rows, cols]: MatrixShape, side: number): number =>
  Math.ceil(rows / side) * Math.ceil(cols / side)

/** Cuts a matrix into square one-channel images `[count, side, side, 1]`, left to right, then down; zeros beyond its edges. */
export function toPatches(w: Matrix, side: number): Images {
  const count = patchCount([w.rows, w.cols], side)
  const data = new Float32Array(count * side * side)
  eachPatchRow([w.rows, w.cols], side, (inPatches, inMatrix, length) => {
    data.set(w.data.subarray(inMatrix, inMatrix + length), inPatches)
  })
  return { count, height: side, width: side, channels: 1, data }
}

/** Undoes `toPatches`. */
export function fromPatches({ data, height }: Images, shape: MatrixShape): Matrix {
  const w = zeroMatrix(shape[0], shape[1])
  eachPatchRow(shape, height, (inPatches, inMatrix, length) => {
    w.data.set(data.subarray(inPatches, inPatches + length), inMatrix)
  })
  return w
}

/** Largest absolute value of each patch, as f16 codes: the blockwise scales S. */
export function absmaxScales({ count, data }: Images): Uint16Array<ArrayBuffer> {
  const size = data.length / count
  const largest = Float32Array.from({ length: count }, (_, p) =>
    data.subarray(p * size, (p + 1) * size).reduce((most, x) => Math.max(most, Math.abs(x)), 0),
  )
  return f32ToF16(largest)
}

/** The patches, each times its own factor. */
export function scalePatches(patches: Images, factors: Float32Array): Images {
  const size = patches.data.length / patches.count
  return { ...patches, data: patches.data.map((x, i) => x * factors[Math.floor(i / size)]) }
}

/** Factors that bring patches with the given stored scales to [−1, 1]. */
export const inverseScales = (scales: Uint16Array): Float32Array =>
  f16ToF32(scales).map(s => (s > 0 ? 1 / s : 0))

function eachPatchRow(
  [rows, cols]: MatrixShape,
  side: number,
  visit: (inPatches: number, inMatrix: number, length: number) => void,
): void {
  const across = Math.ceil(cols / side)
  for (let r = 0; r < rows; r++) {
    for (let p = 0; p < across; p++) {
      const patch = Math.floor(r / side) * across + p
      visit((patch * side + (r % side)) * side, r * cols + p * side, Math.min(side, cols - p * side))
    }
  }
}
