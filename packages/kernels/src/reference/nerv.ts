import type { NervForward } from '../decode/nerv.ts'
import { readHeader } from '../nerv-pack.ts'
import { gelu } from '../neural.ts'

/** Planes `[channels, side, side]` of one patch. */
interface Planes {
  readonly side: number
  readonly channels: number
  readonly data: Float32Array
}

/** Reference implementation of the wasm kernel `nerv`. */
export const nervForward: NervForward = (latents, count, side, decoder) => {
  const { layers } = decoder
  const { channels, stages, linear, convolved, widths } = readHeader(decoder.header)
  const patch = side << stages
  const size = side * side * channels
  const pixels = new Float32Array(count * patch * patch)
  for (let n = 0; n < count; n++) {
    const own = latents.subarray(n * size, (n + 1) * size)
    const out = pixels.subarray(n * patch * patch, (n + 1) * patch * patch)
    let at = 0
    const next = (length: number) => {
      at += length
      return layers.subarray(at - length, at)
    }
    if (linear) linearPath(own, side, stages, next((1 + channels) * 4 ** stages), out)
    if (!convolved) continue
    let x = stem(own, side, widths[0], next((1 + channels) * padded(widths[0])))
    for (const width of widths.slice(1)) x = convolve(x, width, next(4 * width * (1 + 9 * x.channels)))
    head(x, next(1 + 9 * x.channels), out, linear)
  }
  return pixels
}

const padded = (n: number): number => 4 * Math.ceil(n / 4)

function linearPath(
  latents: Float32Array,
  side: number,
  stages: number,
  layer: Float32Array,
  out: Float32Array,
): void {
  const block = 1 << stages
  const outputs = block * block
  const channels = layer.length / outputs - 1
  for (let i = 0; i < out.length; i++) {
    const [y, x] = [Math.floor(i / (side * block)), i % (side * block)]
    const from = (Math.floor(y / block) * side + Math.floor(x / block)) * channels
    const j = (y % block) * block + (x % block)
    let sum = layer[j]
    for (let c = 0; c < channels; c++) sum += layer[(c + 1) * outputs + j] * latents[from + c]
    out[i] = sum
  }
}

function stem(latents: Float32Array, side: number, width: number, layer: Float32Array): Planes {
  const outputs = padded(width)
  const channels = layer.length / outputs - 1
  const data = new Float32Array(width * side * side)
  for (let i = 0; i < side * side; i++) {
    for (let j = 0; j < width; j++) {
      let sum = layer[j]
      for (let c = 0; c < channels; c++) sum += layer[(c + 1) * outputs + j] * latents[i * channels + c]
      data[j * side * side + i] = gelu(sum)
    }
  }
  return { side, channels: width, data }
}

function convolve(x: Planes, width: number, layer: Float32Array): Planes {
  const { side, channels } = x
  const data = new Float32Array(width * 4 * side * side)
  const perPlane = 4 * (1 + 9 * channels)
  for (let i = 0; i < width; i++) {
    for (let q = 0; q < 4; q++) {
      const weight = (tap: number) => layer[i * perPlane + 4 * (1 + tap) + q]
      for (let y = 0; y < side; y++) {
        for (let c = 0; c < side; c++) {
          const to = (i * 2 * side + 2 * y + (q >> 1)) * 2 * side + 2 * c + (q & 1)
          data[to] = gelu(layer[i * perPlane + q] + taps(x, y, c, weight))
        }
      }
    }
  }
  return { side: 2 * side, channels: width, data }
}

function head(x: Planes, layer: Float32Array, out: Float32Array, add: boolean): void {
  for (let i = 0; i < out.length; i++) {
    const value = layer[0] + taps(x, Math.floor(i / x.side), i % x.side, tap => layer[1 + tap])
    out[i] = add ? out[i] + value : Math.tanh(value)
  }
}

/** Sum over the 3 × 3 neighbourhood of a pixel in all channels, zeros outside. */
function taps(
  { side, channels, data }: Planes,
  y: number,
  x: number,
  weight: (tap: number) => number,
): number {
  let sum = 0
  for (let c = 0; c < channels; c++) {
    for (let k = 0; k < 9; k++) {
      const [row, col] = [y + Math.floor(k / 3) - 1, x + (k % 3) - 1]
      if (row < 0 || col < 0 || row >= side || col >= side) continue
      sum += weight(9 * c + k) * data[(c * side + row) * side + col]
    }
  }
  return sum
}
