import type { Residual } from '../op.ts'
import { addressOf, linearOf } from './held.ts'
import { type Compiler, normalise, type Step } from './step.ts'

/** `hidden += scale · norm(W from + bias)`. */
export function residual(compiler: Compiler, op: Residual): Step {
  const { engine } = compiler
  const { kernels } = engine
  const { norm, scale } = op
  const linear = linearOf(op.weight)
  const { rows } = linear
  const bias = op.bias && addressOf(op.bias)
  const [from, hidden] = [compiler.activations(op.from), compiler.activations(op.hidden)]
  if (!norm && scale === 1) {
    return ({ tokens }) => {
      linear.apply(from, hidden.changed().at, rows, tokens, true)
      if (bias !== undefined) kernels.addBias(hidden.at, bias, tokens, rows)
    }
  }
  const product = engine.scratch('residual', rows).at
  return ({ tokens }) => {
    const floats = tokens * rows
    linear.apply(from, product, rows, tokens, false)
    if (bias !== undefined) kernels.addBias(product, bias, tokens, rows)
    if (norm) normalise(engine, norm, product, product, floats)
    const { at } = hidden.changed()
    if (scale === 1) kernels.addInPlace(at, product, floats)
    else kernels.addScaled(at, product, floats, scale)
  }
}
