import type { GroupMember, Project } from '../op.ts'
import { type Activations, BATCH } from './engine.ts'
import { addressOf, linearOf } from './held.ts'
import { type Compiler, normalise, type Step } from './step.ts'

/** A projection group: the norm once, then each matrix. */
export function project(compiler: Compiler, { from, norm, members }: Project): Step {
  const { engine } = compiler
  const hidden = compiler.activations(from)
  const normed = engine.scratch('normed', from.width)
  const products = members.map(member => memberProduct(compiler, member))
  return ({ tokens }) => {
    let x = hidden
    if (norm) {
      x = normed.changed()
      normalise(engine, norm, hidden.at, x.at, tokens * from.width)
    }
    for (const product of products) product(x, tokens)
  }
}

export type Product = (x: Activations, tokens: number) => void

/** One matrix; what is fused is computed whole and then dealt to its slots. */
export function memberProduct(compiler: Compiler, { weight, bias, parts }: GroupMember): Product {
  const { engine } = compiler
  const { kernels } = engine
  const linear = linearOf(weight)
  const { rows } = linear
  const slots = parts.map(({ row, to }) => ({ row, to: compiler.activations(to), width: to.width }))
  const biasAt = bias && addressOf(bias)
  const [{ to, width }] = slots
  if (slots.length === 1 && width === rows) {
    return (x, tokens) => {
      linear.apply(x, to.changed().at, rows, tokens, false)
      if (biasAt !== undefined) kernels.addBias(to.at, biasAt, tokens, rows)
    }
  }
  return (x, tokens) => {
    const product = engine.scratchBytes('fused projections', 4 * BATCH * rows)
    linear.apply(x, product, rows, tokens, false)
    if (biasAt !== undefined) kernels.addBias(product, biasAt, tokens, rows)
    for (const { row, to, width } of slots) {
      const { at } = to.changed()
      for (let t = 0; t < tokens; t++) kernels.copy(at + 4 * t * width, product + 4 * (t * rows + row), width)
    }
  }
}
