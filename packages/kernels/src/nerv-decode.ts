import {
  f16ToF32,
  type Matrix,
  type MatrixShape,
  ReallmError,
  type Tensor,
  unpackBits,
  zeroMatrix,
} from '@reallm/tensor-io'
import { type PackedNerv, packNerv } from './nerv-pack.ts'
import type { Dense } from './neural.ts'

/** Settings of a stored autoencoder that its decoding depends on. */
export interface NervShape {
  /** Side of a patch. */
  readonly patch: number
  readonly stages: number
  readonly latentWidth: number
  /** Mean over the channels. */
  readonly latentBits: number
  readonly decoderWidth: number
  readonly weightBits: number
  /** `principal` has a linear path beside the convolutions. */
  readonly start: 'principal' | 'encoder'
}

/**
 * Latents to pixels: `[count, side, side, channels]` → `[count, side·2^stages, side·2^stages]`; whichever kernels the
 * caller has.
 */
export type NervForward = (
  latents: Float32Array,
  count: number,
  side: number,
  decoder: PackedNerv,
) => Float32Array

/** Each stage has this many times fewer channels than the one before (HNeRV's reduction). */
const REDUCTION = 1.2
/** Pixels that are decoded at a time. */
const CHUNK = 1 << 18

/** Channels after the stem and after each stage. */
const channelsOf = ({ decoderWidth, stages }: NervShape): number[] =>
  Array.from({ length: stages + 1 }, (_, i) => Math.max(2, Math.round(decoderWidth / REDUCTION ** i)))

/**
 * `[out, in]` of the decoder's layers: stem, stages, head (a 3×3 convolution's `in` is 9 × channels); last, where there
 * is one, the linear path from latents to blocks.
 */
export function nervLayers(shape: NervShape): MatrixShape[] {
  const channels = channelsOf(shape)
  const stages = channels.slice(1).map((c, i) => [4 * c, 9 * channels[i]] as const)
  const linear = shape.start === 'principal' ? [[4 ** shape.stages, shape.latentWidth] as const] : []
  return [[channels[0], shape.latentWidth], ...stages, [1, 9 * channels.at(-1)!], ...linear]
}

/** Patches of a `[rows, cols]` matrix: ⌈rows/side⌉·⌈cols/side⌉. */
export const patchCount = ([rows, cols]: MatrixShape, side: number): number =>
  Math.ceil(rows / side) * Math.ceil(cols / side)

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

/** Layers as `@reallm/autoencoder` stores them: each output channel a symmetric grid of its own. */
export function storedLayers(
  parts: Readonly<Record<string, Tensor>>,
  layers: readonly MatrixShape[],
  bits: number,
): Dense[] {
  const levels = 2 ** (bits - 1) - 1
  const scales = f16ToF32(parts.weight_scales.data as Uint16Array)
  const biases = f16ToF32(parts.biases.data as Uint16Array)
  let channel = 0
  let first = 0
  return layers.map(([out, width]) => {
    const codes = unpackBits(parts.weights.data as Uint8Array, bits, out * width, first)
    const bias = biases.slice(channel, channel + out)
    const data = Float32Array.from(
      codes,
      (code, i) => (code - levels) * scales[channel + Math.floor(i / width)],
    )
    first += out * width
    channel += out
    return { weight: { rows: out, cols: width, data }, bias }
  })
}

/** Levels of latents in [−1, 1], `[count]`, channels innermost; channels of 0 bits are 0. */
export function storedLatents(packed: Uint8Array, bits: Uint8Array, count: number): Float32Array {
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

/**
 * A matrix stored by the codec `autoencoder`: one lookup of latents, one forward pass, some patches at a time.
 *
 * @throws ReallmError `bad-tensor` when the channels' bits do not add up, or patches cannot be halved so many times
 */
export function decodeNerv(
  parts: Readonly<Record<string, Tensor>>,
  shape: MatrixShape,
  settings: NervShape,
  forward: NervForward,
): Matrix {
  const { patch, stages, latentWidth: channels, latentBits } = settings
  const bits = parts.latentBits.data as Uint8Array
  if (bits.some(b => b > 16) || bits.reduce((sum, b) => sum + b, 0) !== channels * latentBits) {
    throw new ReallmError(
      'bad-tensor',
      `autoencoder [${shape.join('×')}]: the part latentBits does not add up to ${channels * latentBits}`,
      { hint: 'the file was altered: fetch or compress it again' },
    )
  }
  const side = patch / 2 ** stages
  if (patch % 16 !== 0 || !Number.isInteger(side) || side < 1) {
    throw new ReallmError(
      'bad-tensor',
      `autoencoder [${shape.join('×')}]: patches of ${patch} cannot be halved ${stages} times`,
    )
  }
  const layers = storedLayers(parts, nervLayers(settings), settings.weightBits)
  const layer = settings.start === 'principal' ? layers.pop() : undefined
  const [stem, ...rest] = layers
  const head = rest.pop()!
  const gains = f16ToF32(parts.latentGains.data as Uint16Array)
  const decoder = packNerv({ stem, stages: rest, head, ...(layer && { linear: { layer, gains } }) })
  const size = side * side * channels
  const count = patchCount(shape, patch)
  const levels = storedLatents(parts.latents.data as Uint8Array, bits, count * size)
  const pixels = new Float32Array(count * patch * patch)
  const step = Math.max(1, Math.floor(CHUNK / (patch * patch)))
  for (let from = 0; from < count; from += step) {
    const to = Math.min(count, from + step)
    const latents = levels.subarray(from * size, to * size)
    pixels.set(forward(latents, to - from, side, decoder), from * patch * patch)
  }
  const scales = f16ToF32(parts.scales.data as Uint16Array)
  const perScale = pixels.length / scales.length
  const w = zeroMatrix(shape[0], shape[1])
  eachPatchRow(shape, patch, (inPatches, inMatrix, length) => {
    const scale = scales[Math.floor(inPatches / perScale)]
    for (let i = 0; i < length; i++) w.data[inMatrix + i] = scale * pixels[inPatches + i]
  })
  return w
}
