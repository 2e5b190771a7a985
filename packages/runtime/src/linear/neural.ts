import { decodeNerv, type NervForward, type NervShape } from '@reallm/kernels/inference'
import type { EncodedMatrix } from '@reallm/tensor-io'
import type { Engine } from '../engine.ts'
import type { StoredRows } from './stored-rows.ts'

/** Rows of a matrix that a neural decoder stands for: it is decoded whole, by the engine's kernels. */
export function nervRows(engine: Engine, e: EncodedMatrix): StoredRows {
  const { data, cols } = decodeNerv(e.parts, e.shape, e.params as NervShape, forwardOn(engine))
  return (from, to, out) => out.set(data.subarray(from * cols, to * cols))
}

const forwardOn =
  (engine: Engine): NervForward =>
  (latents, count, side, { header, layers }) => {
    const { kernels, arena, inference } = engine
    const decoder = arena.allocate(header.byteLength)
    arena.bytes(decoder, header.byteLength).set(new Uint8Array(header.buffer))
    const from = engine.upload(latents)
    const weights = engine.upload(layers)
    const pixels = count * (side << header[1]) ** 2
    const out = engine.allocateFloats(pixels)
    const scratch = arena.allocate(inference.threads * kernels.nervScratch(decoder, side))
    kernels.nerv(decoder, from, count, side, weights, out, scratch)
    const decoded = arena.floats(out, pixels).slice()
    for (const at of [decoder, from, weights, out, scratch]) arena.free(at)
    return decoded
  }
