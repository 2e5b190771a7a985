import type { TransformerConfig } from '@reallm/tensor-io/models'
import type { Backend, Program } from './backend/backend.ts'
import { decoderOps } from './decoder-ops.ts'
import type { DecoderWeights } from './weights.ts'

/** A model's forward pass on a backend: one program, compiled again when its weights are exchanged. */
export class Decoder {
  readonly backend: Backend
  readonly config: TransformerConfig
  #weights: DecoderWeights
  #program: Program

  private constructor(
    backend: Backend,
    config: TransformerConfig,
    weights: DecoderWeights,
    program: Program,
  ) {
    this.backend = backend
    this.config = config
    this.#weights = weights
    this.#program = program
  }

  static async create(
    backend: Backend,
    config: TransformerConfig,
    weights: DecoderWeights,
  ): Promise<Decoder> {
    return new Decoder(backend, config, weights, await backend.program(await decoderOps(config, weights)))
  }

  get weights(): DecoderWeights {
    return this.#weights
  }

  get program(): Program {
    return this.#program
  }

  /** Exchanges the weights, for the same ones with an adapter. */
  async use(weights: DecoderWeights): Promise<void> {
    const before = this.#program
    this.#program = await this.backend.program(await decoderOps(this.config, weights))
    this.#weights = weights
    before[Symbol.dispose]()
  }
}
