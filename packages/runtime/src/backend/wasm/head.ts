import type { Head } from '../op.ts'
import { linearOf } from './held.ts'
import { type Compiler, normalise } from './step.ts'

/** Logits `[vocabulary]` of one of the tokens at hand: a view that the next call overwrites. */
export type LogitsOf = (token: number) => Float32Array

/** `softcap(scale · W norm(from))`. */
export function head(compiler: Compiler, { from, norm, weight, scale, softcap }: Head): LogitsOf {
  const { engine } = compiler
  const linear = linearOf(weight)
  const { rows } = linear
  const hidden = compiler.activations(from)
  const normed = engine.scratch('normed', from.width)
  const { at } = engine.scratch('logits', rows)
  return token => {
    const x = normed.changed()
    const own = hidden.at + 4 * token * from.width
    if (norm) normalise(engine, norm, own, x.at, from.width)
    else engine.kernels.copy(x.at, own, from.width)
    linear.apply(x, at, rows, 1, false)
    const logits = engine.arena.floats(at, rows)
    if (scale !== 1) for (let i = 0; i < rows; i++) logits[i] *= scale
    if (softcap !== undefined) {
      for (let i = 0; i < rows; i++) logits[i] = softcap * Math.tanh(logits[i] / softcap)
    }
    return logits
  }
}
