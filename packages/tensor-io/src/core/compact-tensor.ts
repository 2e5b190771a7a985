import type { DType } from './dtype.ts'
import { bf16ToF32, f32ToBf16, f32ToF16 } from './float.ts'
import { type Tensor, tensor } from './tensor.ts'

/**
 * A tensor in 16 bits where that loses nothing that matters: BF16 where that is exact, F16 where the values fit, else F32.
 *
 * @example
 * const stored = compactTensor([576], norm)
 */
export function compactTensor(shape: readonly number[], data: Float32Array): Tensor {
  const bf16 = f32ToBf16(data)
  if (bf16ToF32(bf16).every((v, i) => v === data[i])) return stored('BF16', bf16)
  const fits = data.every(v => v === 0 || (Math.abs(v) < 65_000 && Math.abs(v) > 1e-4))
  return fits ? stored('F16', f32ToF16(data)) : stored('F32', data.slice())

  function stored(dtype: DType, values: Uint16Array | Float32Array): Tensor {
    return tensor(dtype, shape, values as Tensor['data'])
  }
}
