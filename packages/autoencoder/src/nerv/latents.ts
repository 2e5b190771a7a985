import { eigh, matmul } from '@reallm/kernels'
import { f16ToF32, f32ToF16, type Matrix, packedBytes, zeroMatrix } from '@reallm/tensor-io'

/** How latents are quantised: each channel on a grid of its own, `gain · (2·code/(2^bits − 1) − 1)`; 0 where it has no bits. */
export interface LatentGrid {
  /** Bits of each channel, 0 to 12. */
  readonly bits: Uint8Array<ArrayBuffer>
  /** Largest value of each channel, in f16. */
  readonly gains: Uint16Array<ArrayBuffer>
}

/** Largest level, in deviations, of the uniform quantiser with the least error on normal values, by bits. */
const LOADING = [0, 0.798, 1.494, 2.051, 2.514, 2.916, 3.28, 3.61, 3.93, 4.21, 4.49, 4.75, 5]
/** Most bits of a channel: the first few hold nearly all of a smooth matrix. */
export const MOST_BITS = LOADING.length - 1

/** The same bits for all channels, values in [−1, 1]. */
export const evenGrid = (width: number, bits: number): LatentGrid => ({
  bits: new Uint8Array(width).fill(bits),
  gains: f32ToF16(new Float32Array(width).fill(1)),
})

/**
 * Spends `total` bits on channels, each where it lowers the error most (reverse water-filling); further bits lie idle.
 *
 * @param largest absolute value of each channel
 */
export function fittedGrid(deviations: Float32Array, largest: Float32Array, total: number): LatentGrid {
  const bits = new Uint8Array(deviations.length)
  for (let spent = 0; spent < total; spent++) {
    let best = -1
    let most = -1
    for (let j = 0; j < bits.length; j++) {
      const left = bits[j] < MOST_BITS ? deviations[j] * 2 ** -bits[j] : -1
      if (left > most) [best, most] = [j, left]
    }
    bits[best]++
  }
  const gains = deviations.map((d, j) => Math.max(1e-6, Math.min(largest[j], d * LOADING[bits[j]])))
  return { bits, gains: f32ToF16(gains) }
}

/**
 * Principal components of blocks.
 *
 * @param blocks `[n, pixels]`
 * @param weights of the blocks, `[n]`
 * @returns `basis` `[pixels, width]` with orthonormal columns, deviations of the coordinates along them
 */
export function principalBasis(blocks: Matrix, weights: Float32Array, width: number) {
  const weighted = { ...blocks, data: blocks.data.slice() }
  let total = 1e-30
  for (let i = 0; i < blocks.rows; i++) {
    const root = Math.sqrt(weights[i])
    total += weights[i]
    for (let j = 0; j < blocks.cols; j++) weighted.data[i * blocks.cols + j] *= root
  }
  // eigenvalues come largest first
  const { values, vectors } = eigh(matmul(weighted, weighted, { transposeA: true }))
  const basis = zeroMatrix(blocks.cols, width)
  for (let i = 0; i < blocks.cols; i++)
    basis.data.set(vectors.data.subarray(i * vectors.cols, i * vectors.cols + width), i * width)
  const deviations = Float32Array.from({ length: width }, (_, j) => Math.sqrt(Math.max(0, values[j]) / total))
  return { basis, deviations }
}

/** Codes of latents, channel by channel, as one stream of bits. */
export function packLatents(codes: Uint16Array, bits: Uint8Array): Uint8Array<ArrayBuffer> {
  const width = bits.length
  const total = bits.reduce((sum, own) => sum + own, 0) * (codes.length / width)
  const packed = new Uint8Array(packedBytes(total, 1))
  for (let i = 0, at = 0; i < codes.length; i++) {
    const shifted = codes[i] << (at & 7)
    for (let byte = 0; shifted >>> (8 * byte); byte++) packed[(at >>> 3) + byte] |= shifted >>> (8 * byte)
    at += bits[i % width]
  }
  return packed
}

/** The gains of a grid's channels. */
export const gainsOf = ({ gains }: LatentGrid): Float32Array => f16ToF32(gains)
