import type { Matrix } from '@reallm/tensor-io'
import { matmul } from '../matmul.ts'
import { floatsOf, type KernelFunction, type TensorInfo } from './types.ts'

/** `UnsortedSegmentSum`: rows of `x` added up by their segment; negative segments are left out. */
export const unsortedSegmentSum: KernelFunction = ({ inputs, attrs, backend }) => {
  const [x, segmentIds] = [inputs.x!, inputs.segmentIds!]
  const segments = attrs.numSegments as number
  const outer = segmentIds.shape.length
  const out = backend.makeOutput([segments, ...x.shape.slice(outer)], 'float32')
  const sums = floatsOf(backend, out).fill(0)
  const values = backend.typedArrayFromHeap(x)
  const ids = backend.typedArrayFromHeap(segmentIds)
  const width = x.shape.slice(outer).reduce((n, d) => n * d, 1)
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] < 0 || ids[i] >= segments) continue
    for (let from = i * width, to = ids[i] * width; from < (i + 1) * width; ) sums[to++] += values[from++]
  }
  return out
}

/** Sizes of a convolution: input `[n, height, width, channels]`, output `[n, outHeight, outWidth, outChannels]`. */
interface Convolution {
  readonly filter: readonly [height: number, width: number, channels: number, outChannels: number]
  readonly x: readonly number[]
  readonly dy: readonly number[]
  readonly strides: readonly [number, number]
  /** Rows and columns of padding before the image. */
  readonly before: readonly [number, number]
}

/** Images whose neighbourhoods are laid out at a time take at most so many floats. */
const COLUMNS = 1 << 23

/** `Conv2DBackpropFilter` for `NHWC`: dW = columns(x)ᵀ dy, the columns being every output pixel's neighbourhood. */
export const conv2DBackpropFilter: KernelFunction = ({ inputs, attrs, backend }) => {
  const [x, dy] = [inputs.x!, inputs.dy!]
  if (attrs.dataFormat !== undefined && attrs.dataFormat !== 'NHWC') {
    throw new Error(`Conv2DBackpropFilter on wasm takes NHWC, got ${attrs.dataFormat}`)
  }
  const conv = convolution(x, dy, attrs)
  const [kh, kw, channels, outChannels] = conv.filter
  const out = backend.makeOutput([...conv.filter], 'float32')
  const [images, gradients] = [floatsOf(backend, x), floatsOf(backend, dy)]
  const dw = { rows: kh * kw * channels, cols: outChannels, data: floatsOf(backend, out).fill(0) }
  const pixels = conv.dy[1] * conv.dy[2]
  const batch = Math.max(1, Math.floor(COLUMNS / (pixels * dw.rows)))
  for (let n = 0; n < conv.x[0]; n += batch) {
    const count = Math.min(batch, conv.x[0] - n)
    const columns = neighbourhoods(images, conv, n, count)
    const from = n * pixels * outChannels
    const data = gradients.subarray(from, from + count * pixels * outChannels)
    const right = { rows: count * pixels, cols: outChannels, data }
    matmul(columns, right, { transposeA: true, out: dw, accumulate: true })
  }
  return out
}

function convolution(x: TensorInfo, dy: TensorInfo, attrs: Readonly<Record<string, unknown>>): Convolution {
  const filter = attrs.filterShape as Convolution['filter']
  const strides =
    typeof attrs.strides === 'number' ? [attrs.strides, attrs.strides] : (attrs.strides as number[])
  const before = [0, 1].map(axis => {
    const { pad } = attrs
    if (pad === 'valid') return 0
    if (typeof pad === 'number') return pad
    if (Array.isArray(pad)) return (pad as number[][])[axis + 1][0]
    const needed = (dy.shape[axis + 1] - 1) * strides[axis] + filter[axis] - x.shape[axis + 1]
    return Math.floor(Math.max(0, needed) / 2)
  })
  return {
    filter,
    x: x.shape,
    dy: dy.shape,
    strides: [strides[0], strides[1]],
    before: [before[0], before[1]],
  }
}

/** `[count · outHeight · outWidth, filterHeight · filterWidth · channels]`, zeros outside the images. */
function neighbourhoods(images: Float32Array, conv: Convolution, first: number, count: number): Matrix {
  const [kh, kw, channels] = conv.filter
  const [, height, width] = conv.x
  const [, outHeight, outWidth] = conv.dy
  const cols = kh * kw * channels
  const rows = count * outHeight * outWidth
  const data = new Float32Array(rows * cols)
  let to = 0
  for (let n = first; n < first + count; n++) {
    for (let i = 0; i < outHeight; i++) {
      for (let j = 0; j < outWidth; j++) {
        for (let r = 0; r < kh; r++) {
          const y = i * conv.strides[0] + r - conv.before[0]
          // what lies inside the image is one run
          const left = j * conv.strides[1] - conv.before[1]
          const first = Math.max(0, -left) * channels
          const last = Math.min(kw, width - left) * channels
          const from = ((n * height + y) * width + left) * channels
          if (y >= 0 && y < height) for (let l = first; l < last; l++) data[to + l] = images[from + l]
          to += kw * channels
        }
      }
    }
  }
  return { rows, cols, data }
}
