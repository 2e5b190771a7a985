import type { Activation, GatedMlp } from '@reallm/tensor-io/models'
import { type Activations, BATCH, type Engine } from './engine.ts'
import { type DecoderWeights, projectAll } from './weights.ts'

/** The kernels' numbers of the activations. */
const kinds: Readonly<Record<Activation, number>> = { silu: 0, gelu_pytorch_tanh: 1, gelu: 2 }

/** The gated product, `[tokens, width]`. */
export function gatedMlp(
  engine: Engine,
  { gate, up, width, activation }: GatedMlp,
  weights: DecoderWeights,
  x: Activations,
  tokens: number,
): Activations {
  const gates = engine.scratch('gates', width)
  const ups = engine.scratchBytes('ups', 4 * BATCH * width)
  const wanted = [
    { of: gate, to: gates.at },
    { of: up, to: ups },
  ]
  projectAll(engine, weights, wanted, x, tokens)
  engine.kernels.gate(gates.at, ups, tokens * width, kinds[activation])
  return gates.changed()
}
