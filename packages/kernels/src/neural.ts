import type { Matrix } from '@reallm/tensor-io'
import type { DenseLayer } from '@reallm/tensor-io/layouts/dense-layers'

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

/** GELU in its sigmoid form, x·σ(1.702x). */
export const gelu = (x: number): number => x / (1 + Math.exp(-1.702 * x))

/** `x Wᵀ + b`: x `[n, in]` → `[n, out]`. */
function dense(x: Matrix, { weight, bias }: DenseLayer, multiply: Multiply): Matrix {
  const y = multiply(x, weight)
  for (let i = 0; i < y.data.length; i += y.cols) for (let j = 0; j < y.cols; j++) y.data[i + j] += bias[j]
  return y
}

/** Layers one after the other, GELU between them: x `[n, in]` → `[n, out]`. */
export function multilayer(x: Matrix, layers: readonly DenseLayer[], multiply: Multiply): Matrix {
  return layers.reduce((input, layer, i) => {
    const y = dense(input, layer, multiply)
    return i === layers.length - 1 ? y : activate(y)
  }, x)
}

function activate(m: Matrix): Matrix {
  for (let i = 0; i < m.data.length; i++) m.data[i] = gelu(m.data[i])
  return m
}
