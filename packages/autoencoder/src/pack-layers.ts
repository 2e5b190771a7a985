import { f16ToF32, f32ToF16, packBits, packedBytes, type Tensor, tensor } from '@reallm/tensor-io'
import { type DenseLayer, layerLevels } from '@reallm/tensor-io/layouts'

/** Stores layers on `bits` bits, as `readLayers` reads them. */
export function packLayers(layers: readonly DenseLayer[], bits: number): Record<string, Tensor> {
  const levels = layerLevels(bits)
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
