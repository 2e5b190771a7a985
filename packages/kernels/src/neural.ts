import { type Matrix, ReallmError, zeroMatrix } from '@reallm/tensor-io'
import { matmul } from './matmul.ts'

/** A fully connected layer, `y = x Wᵀ + b`: weight `[out, in]`, bias `[out]`. A convolution's `in` is 9 × channels. */
export interface Dense {
  readonly weight: Matrix
  readonly bias: Float32Array
}

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
}

/** GELU in its sigmoid form, x·σ(1.702x). */
export const gelu = (x: number): number => x / (1 + Math.exp(-1.702 * x))

/** `x Wᵀ + b`: x `[n, in]` → `[n, out]`. */
export function dense(x: Matrix, { weight, bias }: Dense): Matrix {
  const y = matmul(x, weight, { transposeB: true })
  for (let i = 0; i < y.data.length; i += y.cols) for (let j = 0; j < y.cols; j++) y.data[i + j] += bias[j]
  return y
}

/** Layers one after the other, GELU between them: x `[n, in]` → `[n, out]`. */
export function multilayer(x: Matrix, layers: readonly Dense[]): Matrix {
  return layers.reduce((input, layer, i) => {
    const y = dense(input, layer)
    return i === layers.length - 1 ? y : activate(y)
  }, x)
}

/**
 * Latents to patches, ReALLM §3.3 (HNeRV, arXiv 2304.02633).
 *
 * @param latents `[count, h, w, channels]`
 * @returns `[count, h·2^stages, w·2^stages, 1]`, values in (−1, 1)
 */
export function nervForward(latents: Images, decoder: NervDecoder): Images {
  let x = asImages(activate(dense(asRows(latents), decoder.stem)), latents)
  for (const stage of decoder.stages) {
    x = pixelShuffle(asImages(dense(neighbourhoods(x), stage), x))
    activate(asRows(x))
  }
  const y = dense(neighbourhoods(x), decoder.head)
  for (let i = 0; i < y.data.length; i++) y.data[i] = Math.tanh(y.data[i])
  return asImages(y, x)
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
  let to = 0
  for (let n = 0; n < count; n++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        for (let dy = -1; dy <= 1; dy++) {
          for (let dx = -1; dx <= 1; dx++, to += channels) {
            if (y + dy < 0 || y + dy >= height || x + dx < 0 || x + dx >= width) continue
            const from = ((n * height + y + dy) * width + x + dx) * channels
            for (let c = 0; c < channels; c++) columns.data[to + c] = data[from + c]
          }
        }
      }
    }
  }
  return columns
}

/** `[n, h, w, 4c]` → `[n, 2h, 2w, c]`; channel `(dy·2 + dx)·c + i` becomes pixel `(2y + dy, 2x + dx)`. */
function pixelShuffle({ count, height, width, channels, data }: Images): Images {
  const c = channels / 4
  const out = new Float32Array(data.length)
  let from = 0
  for (let n = 0; n < count; n++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        for (let dy = 0; dy < 2; dy++) {
          const to = (((n * 2 * height + 2 * y + dy) * width + x) * 2 * c) | 0
          out.set(data.subarray(from, from + 2 * c), to)
          from += 2 * c
        }
      }
    }
  }
  return { count, height: 2 * height, width: 2 * width, channels: c, data: out }
}
