import type { Random } from '@reallm/tensor-io'
import { type AutoencoderParams, autoencoderLayers, layerLevels } from '@reallm/tensor-io/layouts'
import { linear, type TfTensor, tf } from '@reallm/transformer'
import { createDense, fakeQuantiseRows, gelu, straightThrough, type TrainedDense } from '../train.ts'

/** Channels inside the encoder, which is dropped after training and not stored. */
const ENCODER_WIDTH = 32

/** Decoder layers in the order of `autoencoderLayers`. Beside a linear path the output of the convolutions starts at 0. */
export const createDecoder = (params: AutoencoderParams, rng: Random): TrainedDense[] =>
  autoencoderLayers(params).map(([out, width], i) => {
    const silent = params.start === 'principal' && i > params.stages
    return createDense(out, width, rng, silent ? 0 : Math.sqrt(1 / width))
  })

/** Per stage a 2×2 patch embedding and a ConvNeXt-like block (neighbourhood mix, 4× expansion); then the latents' channels. */
export function createEncoder({ stages, latentWidth }: AutoencoderParams, rng: Random) {
  const blocks = Array.from({ length: stages }, (_, i) => ({
    embed: createDense(ENCODER_WIDTH, i === 0 ? 4 : 4 * ENCODER_WIDTH, rng),
    expand: createDense(2 * ENCODER_WIDTH, 9 * ENCODER_WIDTH, rng),
    project: createDense(ENCODER_WIDTH, 2 * ENCODER_WIDTH, rng),
  }))
  return { blocks, head: createDense(latentWidth, ENCODER_WIDTH, rng) }
}
export type Encoder = ReturnType<typeof createEncoder>

export const encoderLayers = ({ blocks, head }: Encoder): TrainedDense[] => [
  ...blocks.flatMap(b => [b.embed, b.expand, b.project]),
  head,
]

/** Patches `[n, side, side, 1]` → unbounded latents `[n, side/2^stages, …, latentWidth]`. */
export function encode(patches: TfTensor, { blocks, head }: Encoder): TfTensor {
  const features = blocks.reduce((input, { embed, expand, project }) => {
    const x = dense(spaceToDepth(input), embed)
    const mixed = dense(gelu(convolution(layerNorm(x), expand)), project)
    return tf.add(x, mixed)
  }, patches)
  return dense(features, head)
}

/**
 * Quantised latents `[n, h, w, c]` → patches `[n, side, side, 1]`, with weights rounded to b_φ bits.
 *
 * @param gains of the channels, for the linear path
 */
export function decode(
  latents: TfTensor,
  gains: Float32Array,
  decoder: readonly TrainedDense[],
  { weightBits, start, stages }: AutoencoderParams,
): TfTensor {
  const rounded = ({ weight, bias }: TrainedDense) => ({
    weight: fakeQuantiseRows(weight, layerLevels(weightBits)),
    bias,
  })
  const [stem, ...rest] = decoder
  const x = rest
    .slice(0, stages)
    .reduce<TfTensor>(
      (input, stage) => gelu(pixelShuffle(convolution(input, rounded(stage)), 2)),
      gelu(dense(latents, rounded(stem))),
    )
  const y = convolution(x, rounded(rest[stages]))
  if (start === 'encoder') return tf.tanh(y)
  return tf.add(y, pixelShuffle(dense(tf.mul(latents, gains), rounded(rest[stages + 1])), 2 ** stages))
}

/** Rounds latents in [−1, 1] to 2^bits even levels, by channel (straight-through estimator). Channels of 0 bits are 0. */
export function quantiseLatents(u: TfTensor, bits: Uint8Array): TfTensor {
  const last = tf.tensor1d(Float32Array.from(bits, b => Math.max(1, 2 ** b - 1)))
  const used = tf.tensor1d(Float32Array.from(bits, b => +(b > 0)))
  return straightThrough(u, x => {
    const place = tf.round(tf.mul(tf.add(tf.clipByValue(x, -1, 1), 1), tf.div(last, 2)))
    return tf.mul(used, tf.sub(tf.mul(place, tf.div(2, last)), 1))
  })
}

interface Layer {
  readonly weight: TfTensor
  readonly bias: TfTensor
}

const dense = (x: TfTensor, { weight, bias }: Layer): TfTensor => tf.add(linear(x, weight), bias)

/** A 3×3 convolution whose weight is `[out, 9·in]`, the inputs of a pixel side by side. */
function convolution(x: TfTensor, { weight, bias }: Layer): TfTensor {
  const [out, width] = weight.shape as [number, number]
  const filter = tf.transpose(weight).reshape([3, 3, width / 9, out])
  return tf.add(tf.conv2d(x as never, filter as never, 1, 'same'), bias)
}

/** `[n, 2h, 2w, c]` → `[n, h, w, 4c]`. */
function spaceToDepth(x: TfTensor): TfTensor {
  const [n, h, w, c] = x.shape
  return swapFiner(x, [n * (h / 2), 2, w / 2, 2 * c]).reshape([n, h / 2, w / 2, 4 * c])
}

/** `[n, h, w, f²c]` → `[n, f·h, f·w, c]`. */
function pixelShuffle(x: TfTensor, f: number): TfTensor {
  const [n, h, w, c] = x.shape
  return swapFiner(x, [n * h, w, f, c / f]).reshape([n, f * h, f * w, c / (f * f)])
}

const swapFiner = (x: TfTensor, shape: number[]): TfTensor => tf.transpose(x.reshape(shape), [0, 2, 1, 3])

function layerNorm(x: TfTensor): TfTensor {
  const centred = tf.sub(x, tf.mean(x, -1, true))
  return tf.mul(centred, tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), 1e-6)))
}
