import { packedBytes } from '../../core/bits.ts'
import { shapeText } from '../../core/check.ts'
import { ReallmError } from '../../core/errors.ts'
import { f16ToF32 } from '../../core/float.ts'
import type { MatrixShape } from '../../core/tensor.ts'
import { altered } from '../altered.ts'
import type { Fields, FullParams } from '../field.ts'
import type { Stored, StoredLayout } from '../layout.ts'
import { type DenseLayer, layerParts, readLayers } from './dense-layers.ts'

/** Most bits of a latent channel. */
export const MOST_LATENT_BITS = 16
/** Each stage has this many times fewer channels than the one before (HNeRV's reduction). */
const REDUCTION = 1.2

const params = {
  /** Side of the square patches, in weights. */
  patch: { of: [16, 32, 64, 128, 256, 512], default: 64 },
  /** Pixel-shuffle stages: latents have 1/2^stages of the resolution. */
  stages: { whole: [1, 5], default: 2 },
  /** Channels of the latents. */
  latentWidth: { whole: [1, 64], default: 8 },
  /** b: bits of a latent, the mean over the channels; latentWidth · latentBits is a whole number. */
  latentBits: { number: { above: 0, most: MOST_LATENT_BITS }, default: 2 },
  /** Channels of the decoder's first stage. */
  decoderWidth: { whole: [2, 256], default: 4 },
  /** Bits of a decoder weight, b_φ. */
  weightBits: { whole: [4, 12], default: 8 },
  /**
   * `principal`: latents start as principal components of blocks, which a linear path beside the convolutions decodes.
   * `encoder`: as in the paper, a ConvNeXt encoder is trained first and then dropped.
   */
  start: { of: ['principal', 'encoder'], default: 'principal' },
  /** A scale for each patch (blockwise absmax), or one for all. */
  scaling: { of: ['patch', 'matrix'], default: 'patch' },
  /** Training steps; with an encoder, the first half trains it. */
  steps: { whole: [0], default: 300 },
  /** Patches in a step. */
  batch: { whole: [1], default: 8 },
  /** Adam, decayed by a cosine. */
  learningRate: { number: { above: 0 }, default: 2e-3 },
  /** Stop when the smoothed loss has not fallen for this many steps. */
  patience: { whole: [1], optional: true },
  /** Weight errors by the diagonal of H. */
  weighted: { of: [true, false], default: false },
} as const satisfies Fields

/** Parameters of a matrix stored by an autoencoder. */
export type AutoencoderParams = FullParams<typeof params>

/**
 * A residual autoencoder: square patches of a matrix, decoded from latents by a convolutional network, one scale per patch.
 *
 * Parts: `latents` U8, see {@link readLatents}; `latentBits` U8 and `latentGains` F16 `[latentWidth]`, of each channel; `scales` F16, of
 * each patch (left to right, then down) or one; the layers of {@link autoencoderLayers}, see `layerParts`.
 */
export const autoencoderLayout: StoredLayout<typeof params> = {
  codec: 'autoencoder',
  params,
  parts(shape, params) {
    const { patch, stages, latentWidth, latentBits } = params
    if (patch < 2 ** stages) {
      throw new ReallmError('bad-option', `autoencoder: patches of ${patch} cannot be halved ${stages} times`)
    }
    if (!Number.isInteger(latentWidth * latentBits)) {
      throw new ReallmError('bad-option', 'autoencoder: latentWidth · latentBits must be whole')
    }
    return {
      latents: {
        dtype: 'U8',
        shape: [packedBytes(latentPlaces(shape, params) * (latentWidth * latentBits), 1)],
      },
      latentBits: { dtype: 'U8', shape: [latentWidth] },
      latentGains: { dtype: 'F16', shape: [latentWidth] },
      scales: { dtype: 'F16', shape: [params.scaling === 'patch' ? patchCount(shape, patch) : 1] },
      ...layerParts(autoencoderLayers(params), params.weightBits),
    }
  },
}

type NetworkShape = Pick<AutoencoderParams, 'stages' | 'latentWidth' | 'decoderWidth' | 'start'>

/**
 * `[out, in]` of the decoder's layers: stem, stages, head (a 3×3 convolution's `in` is 9 × channels); last, where there
 * is one, the linear path from latents to blocks.
 */
export function autoencoderLayers({ stages, latentWidth, decoderWidth, start }: NetworkShape): MatrixShape[] {
  const channels = Array.from({ length: stages + 1 }, (_, i) =>
    Math.max(2, Math.round(decoderWidth / REDUCTION ** i)),
  )
  const convolutions = channels.slice(1).map((c, i) => [4 * c, 9 * channels[i]] as const)
  const linear = start === 'principal' ? [[4 ** stages, latentWidth] as const] : []
  return [[channels[0], latentWidth], ...convolutions, [1, 9 * channels[stages]], ...linear]
}

/** Patches of a `[rows, cols]` matrix: ⌈rows/side⌉·⌈cols/side⌉. */
export const patchCount = ([rows, cols]: MatrixShape, side: number): number =>
  Math.ceil(rows / side) * Math.ceil(cols / side)

/** Latent positions of a matrix. */
export const latentPlaces = (
  shape: MatrixShape,
  { patch, stages }: Pick<AutoencoderParams, 'patch' | 'stages'>,
): number => patchCount(shape, patch) * (patch / 2 ** stages) ** 2

/** Calls `visit` for each row of each patch with its place in the patches and in the matrix. */
export function eachPatchRow(
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

/** A stored matrix, unpacked. */
export interface StoredPatches {
  /** Levels of the latents in [−1, 1], `[patches, side, side, channels]`. */
  readonly latents: Float32Array
  /** Largest value of each channel. */
  readonly gains: Float32Array
  /** Of each patch, or one. */
  readonly scales: Float32Array
  /** As {@link autoencoderLayers} lists them. */
  readonly layers: DenseLayer[]
}

/** @throws `bad-tensor` when the channels' bits do not add up */
/** A matrix stored by an autoencoder, its parts checked and named. */
export function readAutoencoder({ parts, shape, params }: Stored<typeof autoencoderLayout>): StoredPatches {
  const { latentWidth, latentBits, weightBits } = params
  const bits = parts.latentBits.data as Uint8Array
  if (
    bits.some(b => b > MOST_LATENT_BITS) ||
    bits.reduce((sum, b) => sum + b, 0) !== latentWidth * latentBits
  ) {
    throw altered(
      `autoencoder ${shapeText(shape)}: the part latentBits does not add up to ${latentWidth * latentBits}`,
    )
  }
  const count = latentPlaces(shape, params) * latentWidth
  return {
    latents: readLatents(parts.latents.data as Uint8Array, bits, count),
    gains: f16ToF32(parts.latentGains.data as Uint16Array),
    scales: f16ToF32(parts.scales.data as Uint16Array),
    layers: readLayers(parts, autoencoderLayers(params), weightBits),
  }
}

/** Packs codes of latents, channels innermost, as one stream of bits: those of a channel take `bits[channel]` each. */
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

/** Levels in [−1, 1] that `packLatents` stored the codes of, `[count]`; channels of 0 bits are 0. */
export function readLatents(packed: Uint8Array, bits: Uint8Array, count: number): Float32Array {
  const width = bits.length
  const levels = new Float32Array(count)
  const lasts = Array.from(bits, own => 2 ** own - 1)
  for (let p = 0, at = 0; p < count; p += width) {
    for (let c = 0; c < width; c++) {
      if (bits[c] === 0) continue
      const first = at >>> 3
      const three = packed[first] | (packed[first + 1] << 8) | (packed[first + 2] << 16)
      levels[p + c] = (2 * ((three >>> (at & 7)) & lasts[c])) / lasts[c] - 1
      at += bits[c]
    }
  }
  return levels
}
