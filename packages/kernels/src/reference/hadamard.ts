import { factorMatrix, type HadamardFactor } from '../hadamard-plan.ts'

/**
 * Reference implementation of the wasm kernel: transforms an axis of `data`, seen as `[outer, size, inner]`, in place.
 */
export function transformAxis(data: Float32Array, plan: readonly HadamardFactor[], inner: number): void {
  let stride = plan.reduce((product, { size }) => product * size, inner)
  for (const factor of plan) {
    const { size: order } = factor
    const block = stride
    stride /= order
    if (factor.kind === 'sylvester') butterflies(data, order, stride)
    else dense(data, factorMatrix(factor), order, block, stride)
  }
}

function butterflies(data: Float32Array, order: number, stride: number): void {
  const scale = Math.fround(1 / Math.sqrt(order))
  for (let half = stride; half < order * stride; half *= 2) {
    for (let from = 0; from < data.length; from += 2 * half) {
      for (let i = from; i < from + half; i++) {
        const [a, b] = [data[i], data[i + half]]
        data[i] = a + b
        data[i + half] = a - b
      }
    }
  }
  for (let i = 0; i < data.length; i++) data[i] *= scale
}

function dense(data: Float32Array, h: Float32Array, order: number, block: number, stride: number): void {
  const sums = new Float64Array(order)
  for (let from = 0; from < data.length; from += block) {
    for (let c = 0; c < stride; c++) {
      for (let i = 0; i < order; i++) {
        let sum = 0
        for (let j = 0; j < order; j++) sum += h[i * order + j] * data[from + j * stride + c]
        sums[i] = sum
      }
      for (let i = 0; i < order; i++) data[from + i * stride + c] = sums[i]
    }
  }
}
