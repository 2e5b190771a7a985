import { f16ToF32, f32ToF16, ReallmError, type Tensor, tensor } from '@reallm/tensor-io'
import { networkNames, networkWidth } from '@reallm/tensor-io/layouts'

/** A network in its stored precision. */
export interface StoredNetwork {
  readonly codes: Int8Array<ArrayBuffer>
  readonly steps: Uint16Array<ArrayBuffer>
}

/** Rounds a network's weights `[hidden, networkWidth(L)]` to 8 bits; throws `numeric` where they exceed f16. */
export function storeNetwork(weights: Float32Array, stateBits: number): StoredNetwork {
  const width = networkWidth(stateBits)
  const largest = new Float32Array(2)
  for (let i = 0; i < weights.length; i++) {
    const group = +(i % width === width - 1)
    largest[group] = Math.max(largest[group], Math.abs(weights[i]))
  }
  if (!largest.every(v => v < 60_000)) {
    throw new ReallmError('numeric', 'the weights of the trellis network exceed half floats')
  }
  const steps = f32ToF16(largest.map(v => Math.max(v / 127, 2 ** -14)))
  const exact = f16ToF32(steps)
  const codes = Int8Array.from(weights, (v, i) =>
    Math.max(-127, Math.min(127, Math.round(v / exact[+(i % width === width - 1)]))),
  )
  return { codes, steps }
}

/** The tensors of a stored network. */
export const networkTensors = (
  { codes, steps }: StoredNetwork,
  stateBits: number,
  bits: number,
): Record<string, Tensor> => {
  const width = networkWidth(stateBits)
  return {
    [networkNames(bits).network]: tensor('I8', [codes.length / width, width], codes),
    [networkNames(bits).steps]: tensor('F16', [2], steps),
  }
}
