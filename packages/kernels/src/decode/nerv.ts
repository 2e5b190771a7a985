import { type Matrix, type Stored, zeroMatrix } from '@reallm/tensor-io'
import { type autoencoderLayout, eachPatchRow, readAutoencoder } from '@reallm/tensor-io/layouts/autoencoder'
import { type PackedNerv, packNerv } from '../nerv-pack.ts'

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

/** Pixels that are decoded at a time. */
const CHUNK = 1 << 18

/**
 * A matrix stored by the codec `autoencoder`: one lookup of latents, one forward pass, some patches at a time.
 *
 * @throws ReallmError `bad-tensor` when the channels' bits do not add up
 */
export function decodeNerv(e: Stored<typeof autoencoderLayout>, forward: NervForward): Matrix {
  const { patch, stages, latentWidth, start } = e.params
  const { latents, gains, scales, layers } = readAutoencoder(e)
  const layer = start === 'principal' ? layers.pop() : undefined
  const [stem, ...rest] = layers
  const head = rest.pop()!
  const decoder = packNerv({ stem, stages: rest, head, linear: layer && { layer, gains } })
  const side = patch / 2 ** stages
  const size = side * side * latentWidth
  const count = latents.length / size
  const pixels = new Float32Array(count * patch * patch)
  const step = Math.max(1, Math.floor(CHUNK / (patch * patch)))
  for (let from = 0; from < count; from += step) {
    const to = Math.min(count, from + step)
    pixels.set(
      forward(latents.subarray(from * size, to * size), to - from, side, decoder),
      from * patch * patch,
    )
  }
  const perScale = pixels.length / scales.length
  const w = zeroMatrix(...e.shape)
  eachPatchRow(e.shape, patch, (inPatches, inMatrix, length) => {
    const scale = scales[Math.floor(inPatches / perScale)]
    for (let i = 0; i < length; i++) w.data[inMatrix + i] = scale * pixels[inPatches + i]
  })
  return w
}
