import type { Pointer } from '@reallm/kernels/inference'
import type { Activation, GatedMlp } from '@reallm/tensor-io/models'
import { clampedProduct } from '../clamped-product.ts'
import type { GatedProduct } from '../op.ts'
import type { Engine } from './engine.ts'
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

/** `gate = activation(gate) · up` of an MLP, clamped where its spec says so. */
export function gate(
  { kernels, arena }: Engine,
  { activation, clamp }: GatedMlp,
  gates: Pointer,
  ups: Pointer,
  floats: number,
): void {
  if (!clamp) {
    kernels.gate(gates, ups, floats, kinds[activation])
    return
  }
  const [g, u] = [arena.floats(gates, floats), arena.floats(ups, floats)]
  for (let i = 0; i < floats; i++) g[i] = clampedProduct(g[i], u[i], clamp)
}
