import type { Dense } from '@reallm/kernels'
import {
  f16ToF32,
  f32ToF16,
  type MatrixShape,
  packBits,
  packedBytes,
  type StorageCost,
  type Tensor,
  tensor,
} from '@reallm/tensor-io'

/**
 * The decoder's weights φ on b_φ bits (ReALLM §3.3): each output channel a symmetric grid of its own, `code·scale` with an
 * f16 scale; biases f16. Three tensors hold all layers, one after the other.
 */

/** Rounds a value to its grid: `levels` steps to each side of zero. */
export const levelsOf = (bits: number): number => 2 ** (bits - 1) - 1

/** Parts `weights`, `weight_scales`, `biases` of layers of the given `[out, in]` shapes. */
export function weightsCost(layers: readonly MatrixShape[], bits: number): StorageCost {
  const channels = layers.reduce((n, [out]) => n + out, 0)
  const count = layers.reduce((n, [out, width]) => n + out * width, 0)
  return {
    weights: { dtype: 'U8', shape: [packedBytes(count, bits)] },
    weight_scales: { dtype: 'F16', shape: [channels] },
    biases: { dtype: 'F16', shape: [channels] },
  }
}

/** Stores layers on `bits` bits. */
export function packWeights(layers: readonly Dense[], bits: number): Record<string, Tensor> {
  const levels = levelsOf(bits)
  const codes: number[] = []
  const scales: number[] = []
  const biases: number[] = []
  for (const { weight, bias } of layers) {
    for (let i = 0; i < weight.rows; i++) {
      const row = weight.data.subarray(i * weight.cols, (i + 1) * weight.cols)
      const scale = storedScale(row, levels)
      scales.push(scale)
      biases.push(bias[i])
      for (const w of row) {
        codes.push(Math.min(levels, Math.max(-levels, Math.round(w / scale))) + levels)
      }
    }
  }
  return {
    weights: tensor('U8', [packedBytes(codes.length, bits)], packBits(codes, bits)),
    weight_scales: tensor('F16', [scales.length], f32ToF16(Float32Array.from(scales))),
    biases: tensor('F16', [biases.length], f32ToF16(Float32Array.from(biases))),
  }
}

/** The grid step that fits a channel's largest weight, as f16 holds it. */
function storedScale(row: Float32Array, levels: number): number {
  const largest = row.reduce((most, w) => Math.max(most, Math.abs(w)), 0)
  return f16ToF32(f32ToF16(Float32Array.of(Math.max(largest / levels, 1e-6))))[0]
}
