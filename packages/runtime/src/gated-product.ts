import type { Pointer } from '@reallm/kernels/inference'
import { type Activation, type GatedMlp, gatedMlpOf, type TransformerConfig } from '@reallm/tensor-io/models'
import { Activations, BATCH, type Engine } from './engine.ts'
import { type DecoderWeights, projectPart } from './weights.ts'

/** The kernels' numbers of the activations. */
const kinds: Readonly<Record<Activation, number>> = { silu: 0, gelu_pytorch_tanh: 1, gelu: 2 }

/** The gated products of all layers of a model. */
export class GatedProduct {
  readonly #engine: Engine
  readonly #gates = new Map<number, Activations>()
  readonly #ups: Pointer

  constructor(engine: Engine, { layerSpecs }: TransformerConfig) {
    this.#engine = engine
    for (const { ffn } of layerSpecs) {
      const { width } = gatedMlpOf(ffn, 'the runtime')
      if (!this.#gates.has(width)) this.#gates.set(width, new Activations(engine, width))
    }
    this.#ups = engine.allocateFloats(BATCH * Math.max(...this.#gates.keys()))
  }

  /** `activation(gate(x)) · up(x)`, `[tokens, width]`. */
  run(
    { gate, up, width, activation }: GatedMlp,
    weights: DecoderWeights,
    x: Activations,
    tokens: number,
  ): Activations {
    const engine = this.#engine
    const gates = this.#gates.get(width)!.changed()
    projectPart(engine, weights, gate, x, gates.at, tokens)
    projectPart(engine, weights, up, x, this.#ups, tokens, gate)
    engine.kernels.gate(gates.at, this.#ups, tokens * width, kinds[activation])
    return gates
  }
}
