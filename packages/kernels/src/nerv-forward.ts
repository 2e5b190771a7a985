import { type Engine, engine, floats, reserve } from './engine.ts'
import type { NervForward } from './nerv-decode.ts'
import type { PackedNerv } from './nerv-pack.ts'
import { nervForward as twin } from './reference/nerv.ts'

/** Latents to pixels of patches by a NeRV decoder (ReALLM §3.3; HNeRV, arXiv 2304.02633). */
export const nervForward: NervForward = (latents, count, side, decoder) => {
  const e = engine()
  return e ? forward(e, latents, count, side, decoder) : twin(latents, count, side, decoder)
}

function forward(
  e: Engine,
  latents: Float32Array,
  count: number,
  side: number,
  decoder: PackedNerv,
): Float32Array {
  const { channels, stages, widths, layers, linear, convolved } = decoder
  const { kernels } = e
  const pixels = count * (side << stages) ** 2
  const [first] = reserve(e, 4 * widths.length)
  new Int32Array(e.memory.buffer, first, widths.length).set(widths)
  const scratch = e.threads * kernels.nervScratch(first, stages, side)
  const sizes = [widths, latents, layers].map(values => 4 * values.length)
  const [pw, px, pl, po, ps] = reserve(e, ...sizes, 4 * pixels, scratch)
  floats(e, px, latents.length).set(latents)
  floats(e, pl, layers.length).set(layers)
  kernels.nerv(px, count, side, channels, stages, pw, pl, +linear, +convolved, po, ps)
  return floats(e, po, pixels).slice()
}
