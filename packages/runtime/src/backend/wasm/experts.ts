import type { Pointer } from '@reallm/kernels/inference'
import { type Reached, routed } from '@reallm/tensor-io/models'
import type { Expert, Experts } from '../op.ts'
import type { Activations } from './engine.ts'
import { gate } from './gated-product.ts'
import { addressOf, linearOf } from './held.ts'
import { memberProduct } from './project.ts'
import { type Compiler, normalise, type Step } from './step.ts'

/** A mixture of experts: the tokens that reach an expert go through it together. */
export function experts(compiler: Compiler, op: Experts): Step {
  const { engine } = compiler
  const { kernels, arena } = engine
  const { spec, norm, after, scale } = op
  const { width } = op.hidden
  const hidden = compiler.activations(op.hidden)
  const normed = engine.scratch('normed', width)
  const gathered = engine.scratch('gathered', width)
  const [sum, product] = ['mixture', 'residual'].map(purpose => engine.scratch(purpose, width).at)
  const scores = engine.scratch('scores of experts', spec.experts.length)
  const router = linearOf(op.router.weight)
  const routerBias = op.router.bias && addressOf(op.router.bias)
  const all = op.experts.map(expert => compiledExpert(compiler, expert))
  const shared = op.shared && compiledExpert(compiler, op.shared)

  /** Adds an expert's part to the tokens that reach it. */
  function add(run: Run, reached: readonly Reached[], x: Activations): void {
    const rows = gathered.changed()
    for (const [i, { position }] of reached.entries())
      kernels.copy(rows.at + 4 * i * width, x.at + 4 * position * width, width)
    run(rows, product, reached.length)
    for (const [i, { position, share }] of reached.entries())
      kernels.addScaled(sum + 4 * position * width, product + 4 * i * width, width, share)
  }

  return ({ tokens }) => {
    const floats = tokens * width
    let x = hidden
    if (norm) {
      x = normed.changed()
      normalise(engine, norm, hidden.at, x.at, floats)
    }
    const count = tokens * spec.experts.length
    router.apply(x, scores.at, spec.experts.length, tokens, false)
    if (routerBias !== undefined) kernels.addBias(scores.at, routerBias, tokens, spec.experts.length)
    const reached = routed(arena.floats(scores.at, count), { ...spec, experts: spec.experts.length })
    if (shared) shared(x, sum, tokens)
    else arena.floats(sum, floats).fill(0)
    for (const [e, run] of all.entries()) if (reached[e].length > 0) add(run, reached[e], x)
    if (after) normalise(engine, after, sum, sum, floats)
    kernels.addScaled(hidden.changed().at, sum, floats, scale)
  }
}

type Run = (x: Activations, to: Pointer, tokens: number) => void

function compiledExpert(compiler: Compiler, { members, spec, weight, bias, ...slots }: Expert): Run {
  const { engine } = compiler
  const products = members.map(member => memberProduct(compiler, member))
  const [gates, ups] = [slots.gate, slots.up].map(slot => compiler.activations(slot))
  const down = linearOf(weight)
  const biasAt = bias && addressOf(bias)
  return (x, to, tokens) => {
    for (const product of products) product(x, tokens)
    gate(engine, spec, gates.changed().at, ups.at, tokens * spec.width)
    down.apply(gates, to, down.rows, tokens, false)
    if (biasAt !== undefined) engine.kernels.addBias(to, biasAt, tokens, down.rows)
  }
}
