import type { NervForward } from './decode/nerv.ts'
import { type Engine, engine, floats, reserve } from './engine.ts'
import type { PackedNerv } from './nerv-pack.ts'
import { nervForward as reference } from './reference/nerv.ts'

/** Latents to pixels of patches by a NeRV decoder (ReALLM §3.3; HNeRV, arXiv 2304.02633). */
export const nervForward: NervForward = (latents, count, side, decoder) => {
  const e = engine()
  return e ? forward(e, latents, count, side, decoder) : reference(latents, count, side, decoder)
}

function forward(
  e: Engine,
  latents: Float32Array,
  count: number,
  side: number,
  { header, layers }: PackedNerv,
): Float32Array {
  const { kernels } = e
  const pixels = count * (side << header[1]) ** 2
  const writeHeader = (at: number) => new Int32Array(e.memory.buffer, at, header.length).set(header)
  const [first] = reserve(e, header.byteLength)
  writeHeader(first)
  const scratch = e.threads * kernels.nervScratch(first, side)
  const sizes = [header, latents, layers].map(values => values.byteLength)
  const [decoder, from, weights, out, work] = reserve(e, ...sizes, 4 * pixels, scratch)
  writeHeader(decoder)
  floats(e, from, latents.length).set(latents)
  floats(e, weights, layers.length).set(layers)
  kernels.nerv(decoder, from, count, side, weights, out, work)
  return floats(e, out, pixels).slice()
}
