import type { Head } from '../op.ts'
import { linearOf } from './held.ts'
import { type Compiler, normalise } from './step.ts'

/** Logits `[tokens, vocabulary]` of some of the tokens at hand: a view that the next call overwrites. */
export type LogitsOf = (tokens: readonly number[]) => Float32Array

/** `softcap(scale · W norm(from))`. */
export function head(compiler: Compiler, { from, norm, weight, scale, softcap }: Head): LogitsOf {
  const { engine } = compiler
  const linear = linearOf(weight)
  const { rows } = linear
  const { width } = from
  const hidden = compiler.activations(from)
  const normed = engine.scratch('normed', width)
  return tokens => {
    const x = normed.changed()
    const count = tokens.length
    for (const [i, t] of tokens.entries())
      engine.kernels.copy(x.at + 4 * i * width, hidden.at + 4 * t * width, width)
    if (norm) normalise(engine, norm, x.at, x.at, count * width)
    const at = engine.scratchBytes('logits', 4 * (count * rows + 4))
    linear.apply(x, at, rows, count, false)
    const logits = engine.arena.floats(at, count * rows)
    if (scale !== 1) for (let i = 0; i < logits.length; i++) logits[i] *= scale
    if (softcap !== undefined) {
      for (let i = 0; i < logits.length; i++) logits[i] = softcap * Math.tanh(logits[i] / softcap)
    }
    return logits
  }
}
