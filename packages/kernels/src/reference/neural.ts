import type { NeuralKernels } from '../inference/kernels.ts'
import { readHeader } from '../nerv-pack.ts'
import { nervForward } from './nerv.ts'
import { viewsOf } from './views.ts'

/** Reference implementation of the module `neural`, on the same memory. */
export function referenceNeural(memory: WebAssembly.Memory): NeuralKernels {
  const { f32 } = viewsOf(memory)
  return {
    nervScratch: () => 0,

    nerv(decoder, latents, count, side, layers, out) {
      // how long they are is not known here; the decoder takes what it needs
      const header = new Int32Array(memory.buffer, decoder, 16)
      const weights = new Float32Array(memory.buffer, layers)
      const { channels, stages } = readHeader(header)
      const own = { header: header.slice(0, 5 + stages), layers: weights }
      const pixels = nervForward(f32(latents, count * side * side * channels), count, side, own)
      f32(out, pixels.length).set(pixels)
    },
  }
}
