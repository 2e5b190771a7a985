import { f32ToF16 } from '../../core/float.ts'

/**
 * Rounds float32 weights to Q8_0 (blocks of 32: a half-float scale and 32 signed bytes), bit for bit as llama.cpp's
 * reference does; `values.length` must be a multiple of 32.
 */
export function encodeQ8_0(values: Float32Array): Uint8Array<ArrayBuffer> {
  const blocks = values.length / 32
  const scales = new Float32Array(blocks)
  const out = new Uint8Array(34 * blocks)
  for (let k = 0; k < blocks; k++) {
    let largest = 0
    for (let i = 32 * k; i < 32 * k + 32; i++) largest = Math.max(largest, Math.abs(values[i]))
    const scale = Math.fround(largest / 127)
    const inverse = scale > 0 ? Math.fround(1 / scale) : 0
    scales[k] = scale
    for (let i = 0; i < 32; i++) {
      const x = Math.fround(values[32 * k + i] * inverse)
      out[34 * k + 2 + i] = Math.trunc(x + (x < 0 ? -0.5 : 0.5))
    }
  }
  const halves = f32ToF16(scales)
  for (let k = 0; k < blocks; k++) {
    out[34 * k] = halves[k]
    out[34 * k + 1] = halves[k] >> 8
  }
  return out
}
