import { packedBytes, unpackBits } from '../../core/bits.ts'
import { f16ToF32 } from '../../core/float.ts'
import type { Matrix, MatrixShape, Tensor } from '../../core/tensor.ts'
import type { StorageCost } from '../encoded-matrix.ts'

/** A fully connected layer, `y = x Wᵀ + b`: weight `[out, in]`, bias `[out]`. */
export interface DenseLayer {
  readonly weight: Matrix
  readonly bias: Float32Array
}

/**
 * Parts of a neural decoder's layers of the given `[out, in]` shapes, one after the other (ReALLM §3.3): `weights` U8, packed codes
 * of `bits` bits; `weight_scales` F16, one for each output channel; `biases` F16. A weight is
 * `(code − 2^(bits−1) + 1) · scale`.
 */
export function layerParts(layers: readonly MatrixShape[], bits: number): StorageCost {
  const channels = layers.reduce((n, [out]) => n + out, 0)
  const count = layers.reduce((n, [out, width]) => n + out * width, 0)
  return {
    weights: { dtype: 'U8', shape: [packedBytes(count, bits)] },
    weight_scales: { dtype: 'F16', shape: [channels] },
    biases: { dtype: 'F16', shape: [channels] },
  }
}

/** Levels on each side of zero. */
export const layerLevels = (bits: number): number => 2 ** (bits - 1) - 1

/** The layers that {@link layerParts} hold. */
export function readLayers(
  parts: Readonly<Record<string, Tensor>>,
  layers: readonly MatrixShape[],
  bits: number,
): DenseLayer[] {
  const levels = layerLevels(bits)
  const scales = f16ToF32(parts.weight_scales.data as Uint16Array)
  const biases = f16ToF32(parts.biases.data as Uint16Array)
  let channel = 0
  let first = 0
  return layers.map(([out, width]) => {
    const codes = unpackBits(parts.weights.data as Uint8Array, bits, out * width, first)
    const bias = biases.slice(channel, channel + out)
    const data = Float32Array.from(
      codes,
      (code, i) => (code - levels) * scales[channel + Math.floor(i / width)],
    )
    first += out * width
    channel += out
    return { weight: { rows: out, cols: width, data }, bias }
  })
}
