import type { Activation, GatedMlp } from '@reallm/tensor-io/models'
import { type Hooks, projectAll, type Weights } from './modules.ts'
import { swiglu } from './ops.ts'
import { type TfTensor, tf } from './tf.ts'

/** The gated product: `[batch, positions, hidden]` → `[batch, positions, width]`. */
export function mlp(spec: GatedMlp, weights: Weights, x: TfTensor, hooks: Hooks): TfTensor {
  const [gate, up] = projectAll(weights, [spec.gate, spec.up], x, hooks)
  if (spec.clamp) return clampedGlu(spec.clamp, gate, up)
  return spec.activation === 'silu' ? swiglu(gate, up) : activate(spec.activation, gate).mul(up)
}

export function activate(activation: Activation, x: TfTensor): TfTensor {
  if (activation === 'silu') return x.mul(x.sigmoid())
  const gate =
    activation === 'gelu'
      ? tf.erf(x.mul(Math.SQRT1_2))
      : tf.tanh(x.add(x.mul(x).mul(x).mul(0.044715)).mul(Math.sqrt(2 / Math.PI)))
  return x.mul(0.5).mul(gate.add(1))
}

function clampedGlu(
  { alpha, limit }: NonNullable<GatedMlp['clamp']>,
  gate: TfTensor,
  up: TfTensor,
): TfTensor {
  const gates = tf.minimum(gate, limit)
  const ups = tf.minimum(tf.maximum(up, -limit), limit)
  return gates.mul(tf.sigmoid(gates.mul(alpha))).mul(ups.add(1))
}
