import type { Activation } from '@reallm/tensor-io/models'
import type { GatedProduct } from '../op.ts'
import type { Compiler, Step } from './step.ts'

/** The kernels' numbers of the activations. */
const kinds: Readonly<Record<Activation, number>> = { silu: 0, gelu_pytorch_tanh: 1, gelu: 2 }

/** `to = activation(gate) · up`. */
export function gatedProduct(compiler: Compiler, op: GatedProduct): Step {
  const { kernels } = compiler.engine
  const [gate, up, to] = [op.gate, op.up, op.to].map(slot => compiler.activations(slot))
  const { width } = op.to
  return ({ tokens }) => {
    if (to !== gate) kernels.copy(to.at, gate.at, tokens * width)
    kernels.gate(to.changed().at, up.at, tokens * width, kinds[op.activation])
  }
}
