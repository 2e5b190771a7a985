import { decodeNerv, type NervForward } from '@reallm/kernels/decode/nerv'
import type { NeuralKernels } from '@reallm/kernels/inference'
import { autoencoderLayout } from '@reallm/tensor-io/layouts/autoencoder'
import type { Engine } from '../engine.ts'
import { runner, written } from './runner.ts'

/** A matrix that a neural decoder stands for: decoded whole, by the engine's kernels. */
export const autoencoder = runner(autoencoderLayout, async (engine, e, options) => {
  const { data, cols } = decodeNerv(e, forwardOn(engine, await engine.inference.neural()))
  return written(engine, e.shape, (from, to, out) => out.set(data.subarray(from * cols, to * cols)), options)
})

const forwardOn =
  (engine: Engine, { nerv, nervScratch }: NeuralKernels): NervForward =>
  (latents, count, side, { header, layers }) => {
    const { arena, inference } = engine
    const decoder = arena.allocate(header.byteLength)
    arena.bytes(decoder, header.byteLength).set(new Uint8Array(header.buffer))
    const from = engine.upload(latents)
    const weights = engine.upload(layers)
    const pixels = count * (side << header[1]) ** 2
    const out = engine.allocateFloats(pixels)
    const scratch = arena.allocate(inference.threads * nervScratch(decoder, side))
    nerv(decoder, from, count, side, weights, out, scratch)
    const decoded = arena.floats(out, pixels).slice()
    for (const at of [decoder, from, weights, out, scratch]) arena.free(at)
    return decoded
  }
