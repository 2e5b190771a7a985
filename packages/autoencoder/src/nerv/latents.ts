import { eigh, matmul } from '@reallm/kernels'
import { f16ToF32, f32ToF16, type Matrix, zeroMatrix } from '@reallm/tensor-io'
import { MOST_LATENT_BITS } from '@reallm/tensor-io/layouts'

/** Quantisation of latents: per channel a uniform grid `gain · (2·code/(2^bits − 1) − 1)`; 0 for a channel without bits. */
export interface LatentGrid {
  /** Bits of each channel, 0 to 12. */
  readonly bits: Uint8Array<ArrayBuffer>
  /** Largest value of each channel, in f16. */
  readonly gains: Uint16Array<ArrayBuffer>
}

/** Latents of a channel that its grid is fitted to. */
const SAMPLE = 4096
/** Gains that are tried: the largest value times powers of this ratio. */
const GAIN_RATIO = 0.9
const GAINS = 24

/** The same bits for all channels, values in [−1, 1]. */
export const evenGrid = (width: number, bits: number): LatentGrid => ({
  bits: new Uint8Array(width).fill(bits),
  gains: f32ToF16(new Float32Array(width).fill(1)),
})

/**
 * Gives `total` bits to channels, each where it lowers the error most; bits that lower it nowhere go to any channel.
 *
 * @param latents `[n, width]`
 * @param weights of the rows' squared errors, `[n]`
 */
export function fittedGrid(latents: Matrix, weights: Float32Array, total: number): LatentGrid {
  const channels = Array.from({ length: latents.cols }, (_, c) => bestGains(latents, weights, c))
  const bits = new Uint8Array(latents.cols)
  for (let left = total; left > 0; ) {
    let best = { channel: 0, more: left, gain: 0 }
    for (const [channel, { errors }] of channels.entries()) {
      for (let more = 1; more <= Math.min(left, MOST_LATENT_BITS - bits[channel]); more++) {
        const gain = (errors[bits[channel]] - errors[bits[channel] + more]) / more
        if (gain > best.gain) best = { channel, more, gain }
      }
    }
    if (best.gain <= 0) best = idle(bits, left)
    bits[best.channel] += best.more
    left -= best.more
  }
  const gains = channels.map(({ gains }, c) => gains[bits[c]])
  return { bits, gains: f32ToF16(Float32Array.from(gains)) }
}

/** The channel that takes bits which lower no error. */
function idle(bits: Uint8Array, left: number) {
  const channel = bits.indexOf(Math.min(...bits))
  return { channel, more: Math.min(left, MOST_LATENT_BITS - bits[channel]), gain: 0 }
}

/** For 0 to `MOST_LATENT_BITS` bits of a channel: the gain with the least error, and that error. */
function bestGains({ rows, cols, data }: Matrix, weights: Float32Array, channel: number) {
  const step = Math.max(1, Math.floor(rows / SAMPLE))
  const values: number[] = []
  const shares: number[] = []
  let largest = 1e-6
  for (let i = 0; i < rows; i++) {
    const value = data[i * cols + channel]
    largest = Math.max(largest, Math.abs(value))
    if (i % step === 0) {
      values.push(value)
      shares.push(weights[i])
    }
  }
  const errorAt = (bits: number, gain: number): number => {
    const last = 2 ** bits - 1
    let sum = 0
    for (let i = 0; i < values.length; i++) {
      const place = Math.round(((Math.max(-1, Math.min(1, values[i] / gain)) + 1) / 2) * last)
      sum += shares[i] * (values[i] - gain * ((2 * place) / last - 1)) ** 2
    }
    return sum
  }
  const zero = values.reduce((sum, v, i) => sum + shares[i] * v * v, 0)
  const gains = [largest]
  const errors = [zero]
  for (let bits = 1; bits <= MOST_LATENT_BITS; bits++) {
    let best = { gain: largest, error: Infinity }
    for (let k = 0; k < GAINS; k++) {
      const gain = largest * GAIN_RATIO ** k
      const error = errorAt(bits, gain)
      if (error < best.error) best = { gain, error }
      // Smaller gains clip more.
      else if (error > 2 * best.error) break
    }
    gains.push(best.gain)
    errors.push(best.error)
  }
  return { gains, errors }
}

/**
 * Principal components of blocks: `[pixels, width]` with orthonormal columns.
 *
 * @param blocks `[n, pixels]`
 * @param weights of the blocks, `[n]`
 */
export function principalBasis(blocks: Matrix, weights: Float32Array, width: number): Matrix {
  const weighted = { ...blocks, data: blocks.data.slice() }
  for (let i = 0; i < blocks.rows; i++) {
    const root = Math.sqrt(weights[i])
    for (let j = 0; j < blocks.cols; j++) weighted.data[i * blocks.cols + j] *= root
  }
  // eigenvalues come largest first
  const { vectors } = eigh(matmul(weighted, weighted, { transposeA: true }))
  const basis = zeroMatrix(blocks.cols, width)
  for (let i = 0; i < blocks.cols; i++)
    basis.data.set(vectors.data.subarray(i * vectors.cols, i * vectors.cols + width), i * width)
  return basis
}

/** The gains of a grid's channels. */
export const gainsOf = ({ gains }: LatentGrid): Float32Array => f16ToF32(gains)
