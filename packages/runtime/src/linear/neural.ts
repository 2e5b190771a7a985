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
  (latents, count, side, { channels, stages, widths, layers, linear, convolved }) => {
    const { kernels, arena } = engine
    const planes = arena.allocate(widths.byteLength)
    arena.bytes(planes, widths.byteLength).set(new Uint8Array(widths.buffer))
    const from = engine.upload(latents)
    const weights = engine.upload(layers)
    const pixels = count * (side << stages) ** 2
    const out = engine.allocateFloats(pixels)
    const scratch = arena.allocate(engine.inference.threads * kernels.nervScratch(planes, stages, side))
    kernels.nerv(from, count, side, channels, stages, planes, weights, +linear, +convolved, out, scratch)
    const decoded = arena.floats(out, pixels).slice()
    for (const at of [planes, from, weights, out, scratch]) arena.free(at)
    return decoded
  }
