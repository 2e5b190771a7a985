import type { Random } from '@reallm/tensor-io'
import { linear, type TfTensor, tf } from '@reallm/transformer'
import { levelsOf } from '../decoder-weights.ts'
import { createDense, fakeQuantiseRows, gelu, straightThrough, type TrainedDense } from '../train.ts'
import { layerShapes, type NervParams } from './params.ts'

/** Channels inside the encoder; it is thrown away after training, so its size costs nothing. */
const ENCODER_WIDTH = 32

/** Decoder layers: stem, stages, head. */
export const createDecoder = (params: NervParams, rng: Random): TrainedDense[] =>
  layerShapes(params).map(([out, width]) => createDense(out, width, rng))

/** Per stage a 2×2 patch embedding and a ConvNeXt-like block (neighbourhood mix, 4× expansion); then the latents' channels. */
export function createEncoder({ stages, latentWidth }: NervParams, rng: Random) {
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
    const mixed = dense(gelu(dense(neighbourhoods(layerNorm(x)), expand)), project)
    return tf.add(x, mixed)
  }, patches)
  return dense(features, head)
}

/** Latents on their grid `[n, h, w, c]` → patches `[n, side, side, 1]`; the weights rounded to b_φ bits on the way. */
export function decode(
  latents: TfTensor,
  decoder: readonly TrainedDense[],
  { weightBits }: NervParams,
): TfTensor {
  const rounded = (x: TfTensor, { weight, bias }: TrainedDense) =>
    tf.add(linear(x, fakeQuantiseRows(weight, levelsOf(weightBits))), bias)
  const [stem, ...rest] = decoder
  const head = rest.pop()!
  const x = rest.reduce<TfTensor>(
    (input, stage) => gelu(pixelShuffle(rounded(neighbourhoods(input), stage))),
    gelu(rounded(latents, stem)),
  )
  return tf.tanh(rounded(neighbourhoods(x), head))
}

/** Squeezes latents into (−1, 1) and rounds them to 2^bits even levels; the gradient passes the rounding. */
export const quantiseLatents = (z: TfTensor, bits: number): TfTensor =>
  straightThrough(tf.tanh(z), u => {
    const last = 2 ** bits - 1
    return tf.sub(tf.mul(tf.round(tf.mul(tf.add(u, 1), last / 2)), 2 / last), 1)
  })

const dense = (x: TfTensor, { weight, bias }: TrainedDense): TfTensor => tf.add(linear(x, weight), bias)

/** The 3 × 3 neighbourhood of every pixel: a convolution is then one matrix product, with gradients on every backend. */
function neighbourhoods(x: TfTensor): TfTensor {
  const [n, h, w, c] = x.shape
  const padded = tf.pad(x, [
    [0, 0],
    [1, 1],
    [1, 1],
    [0, 0],
  ])
  const shifted = Array.from({ length: 9 }, (_, i) =>
    tf.slice(padded, [0, Math.floor(i / 3), i % 3, 0], [n, h, w, c]),
  )
  return tf.concat(shifted, -1)
}

/** `[n, 2h, 2w, c]` → `[n, h, w, 4c]`. */
function spaceToDepth(x: TfTensor): TfTensor {
  const [n, h, w, c] = x.shape
  return swapFiner(x, [n * (h / 2), 2, w / 2, 2 * c]).reshape([n, h / 2, w / 2, 4 * c])
}

/** `[n, h, w, 4c]` → `[n, 2h, 2w, c]`. */
function pixelShuffle(x: TfTensor): TfTensor {
  const [n, h, w, c] = x.shape
  return swapFiner(x, [n * h, w, 2, c / 2]).reshape([n, 2 * h, 2 * w, c / 4])
}

const swapFiner = (x: TfTensor, shape: number[]): TfTensor => tf.transpose(x.reshape(shape), [0, 2, 1, 3])

function layerNorm(x: TfTensor): TfTensor {
  const centred = tf.sub(x, tf.mean(x, -1, true))
  return tf.mul(centred, tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), 1e-6)))
}
