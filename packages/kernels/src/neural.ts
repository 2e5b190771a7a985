import { type Matrix, ReallmError, zeroMatrix } from '@reallm/tensor-io'

/** A fully connected layer, `y = x Wᵀ + b`: weight `[out, in]`, bias `[out]`. A convolution's `in` is 9 × channels. */
export interface Dense {
  readonly weight: Matrix
  readonly bias: Float32Array
}

/** `x Wᵀ`: x `[n, in]`, w `[out, in]` → `[n, out]`; whichever kernels the caller has. */
export type Multiply = (x: Matrix, w: Matrix) => Matrix

/** Images side by side in memory: `data` is `[count, height, width, channels]`. */
export interface Images {
  readonly count: number
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly data: Float32Array
}

/** A NeRV decoder: 1×1 stem, per stage a 3×3 convolution to 4× the channels and a pixel shuffle, 3×3 head. */
export interface NervDecoder {
  readonly stem: Dense
  readonly stages: readonly Dense[]
  readonly head: Dense
  /** A linear path from latents, times their channels' gains, to blocks of 2^stages pixels; without it the output goes through tanh. */
  readonly linear?: { readonly layer: Dense; readonly gains: Float32Array }
}

/** GELU in its sigmoid form, x·σ(1.702x). */
export const gelu = (x: number): number => x / (1 + Math.exp(-1.702 * x))

/** `x Wᵀ + b`: x `[n, in]` → `[n, out]`. */
function dense(x: Matrix, { weight, bias }: Dense, multiply: Multiply): Matrix {
  const y = multiply(x, weight)
  for (let i = 0; i < y.data.length; i += y.cols) for (let j = 0; j < y.cols; j++) y.data[i + j] += bias[j]
  return y
}

/** Layers one after the other, GELU between them: x `[n, in]` → `[n, out]`. */
export function multilayer(x: Matrix, layers: readonly Dense[], multiply: Multiply): Matrix {
  return layers.reduce((input, layer, i) => {
    const y = dense(input, layer, multiply)
    return i === layers.length - 1 ? y : activate(y)
  }, x)
}

/**
 * Latents to patches, ReALLM §3.3 (HNeRV, arXiv 2304.02633).
 *
 * @param latents `[count, h, w, channels]`
 * @returns `[count, h·2^stages, w·2^stages, 1]`
 */
export function nervForward(latents: Images, decoder: NervDecoder, multiply: Multiply): Images {
  const blocks = decoder.linear && linearPath(latents, decoder, multiply)
  // convolutions that training found nothing to add with
  const { weight, bias } = decoder.head
  if (blocks && [weight.data, bias].every(values => values.every(v => v === 0))) return blocks
  let x = asImages(activate(dense(asRows(latents), decoder.stem, multiply)), latents)
  for (const stage of decoder.stages) {
    x = pixelShuffle(asImages(activate(dense(neighbourhoods(x), stage, multiply)), x), 2)
  }
  const y = dense(neighbourhoods(x), decoder.head, multiply)
  for (let i = 0; i < y.data.length; i++) {
    if (blocks) y.data[i] += blocks.data[i]
    else y.data[i] = Math.tanh(y.data[i])
  }
  return asImages(y, x)
}

function linearPath(latents: Images, { linear, stages }: NervDecoder, multiply: Multiply): Images {
  const { layer, gains } = linear!
  const scaled = { ...asRows(latents), data: latents.data.map((v, i) => v * gains[i % gains.length]) }
  return pixelShuffle(asImages(dense(scaled, layer, multiply), latents), 2 ** stages.length)
}

const asRows = (x: Images): Matrix => ({
  rows: x.count * x.height * x.width,
  cols: x.channels,
  data: x.data,
})

function asImages(m: Matrix, { count, height, width }: Images): Images {
  if (m.rows !== count * height * width) {
    throw new ReallmError('bad-tensor', `${m.rows} rows are no ${count} images of ${height} × ${width}`)
  }
  return { count, height, width, channels: m.cols, data: m.data }
}

function activate(m: Matrix): Matrix {
  for (let i = 0; i < m.data.length; i++) m.data[i] = gelu(m.data[i])
  return m
}

/** The 3 × 3 neighbourhood of every pixel, zeros outside: `[pixels, 9·channels]`, offsets row by row. */
function neighbourhoods({ count, height, width, channels, data }: Images): Matrix {
  const columns = zeroMatrix(count * height * width, 9 * channels)
  const out = columns.data
  let to = 0
  for (let n = 0; n < count; n++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        // the three pixels of a line lie side by side
        const first = x === 0 ? channels : 0
        const last = (x === width - 1 ? 2 : 3) * channels
        for (let dy = -1; dy <= 1; dy++, to += 3 * channels) {
          if (y + dy < 0 || y + dy >= height) continue
          const from = ((n * height + y + dy) * width + x - 1) * channels
          for (let c = first; c < last; c++) out[to + c] = data[from + c]
        }
      }
    }
  }
  return columns
}

/** `[n, h, w, f²c]` → `[n, f·h, f·w, c]`; channel `(dy·f + dx)·c + i` becomes pixel `(f·y + dy, f·x + dx)`. */
function pixelShuffle({ count, height, width, channels, data }: Images, f: number): Images {
  const run = channels / f
  const out = new Float32Array(data.length)
  let from = 0
  for (let line = 0; line < count * height; line++) {
    for (let x = 0; x < width; x++) {
      for (let dy = 0; dy < f; dy++, from += run) {
        const to = ((line * f + dy) * width + x) * run
        for (let i = 0; i < run; i++) out[to + i] = data[from + i]
      }
    }
  }
  return { count, height: f * height, width: f * width, channels: run / f, data: out }
}
