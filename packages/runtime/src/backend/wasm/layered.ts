import type { AttendShared, LayeredOp, PerLayerInputsOp, Times } from '../layered-op.ts'
import { place, type RopeAngles } from './attend.ts'
import { addressOf, linearOf } from './held.ts'
import { type Compiler, normalise, type Step } from './step.ts'

/** What layers read beside the hidden states. */
export function layered(compiler: Compiler, angles: RopeAngles, op: LayeredOp): Step {
  switch (op.kind) {
    case 'attend-shared':
      return attendShared(compiler, angles, op)
    case 'per-layer-inputs':
      return perLayerInputs(compiler, op)
    case 'times':
      return times(compiler, op)
  }
}

function attendShared(compiler: Compiler, angles: RopeAngles, { spec, query, norm, to }: AttendShared): Step {
  const { engine } = compiler
  const [q, out] = [compiler.activations(query), compiler.activations(to)]
  const turning = spec.rope && angles.of(spec.rope)
  return ({ tokens, parts }) => {
    place({ engine, spec, afterRope: false }, q.at, spec.heads, norm, turning?.queries, tokens)
    const allTo = out.changed().at
    for (const { first, tokens, state } of parts) {
      const from = 4 * first * spec.heads * spec.headDim
      const at = { spec, query: q.at + from, own: undefined, to: allTo + from }
      state.cache(spec.layer).attend({ ...at, tokens, position: state.length })
    }
  }
}

function perLayerInputs(compiler: Compiler, { from, projection, norm, table, to }: PerLayerInputsOp): Step {
  const { engine } = compiler
  const { kernels } = engine
  const [{ width }] = to
  const [linear, rows] = [linearOf(projection), linearOf(table)]
  const all = linear.rows
  const hidden = compiler.activations(from)
  const slots = to.map(slot => compiler.activations(slot))
  const product = engine.scratch('projected inputs of layers', all).at
  return ({ ids, tokens }) => {
    const looked = engine.scratchBytes('second embedding', 4 * all)
    linear.apply(hidden, product, all, tokens, false)
    normalise(engine, norm, product, product, tokens * all)
    for (const [t, id] of ids.entries()) {
      rows.row(id, looked, Math.sqrt(width / 2))
      kernels.addScaled(looked, product + 4 * t * all, all, Math.SQRT1_2)
      for (const [i, slot] of slots.entries())
        kernels.copy(slot.changed().at + 4 * t * width, looked + 4 * i * width, width)
    }
  }
}

function times({ engine, activations }: Compiler, { factor, hidden }: Times): Step {
  const [at, x] = [addressOf(factor), activations(hidden)]
  return ({ tokens }) => {
    const [by] = engine.arena.floats(at, 1)
    const values = engine.arena.floats(x.changed().at, tokens * hidden.width)
    for (let i = 0; i < values.length; i++) values[i] *= by
  }
}
