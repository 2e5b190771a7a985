import type { Pointer } from '@reallm/kernels/inference'
import type { Mixer } from '@reallm/tensor-io/models'
import type { Engine } from './engine.ts'

type Recurrent = Exclude<Mixer, { readonly kind: 'attention' | 'shared-attention' }>

/** Floats of the matrices that a layer keeps. */
function matrixFloats(mixer: Recurrent): number {
  switch (mixer.kind) {
    case 'short-conv':
      return 0
    case 'gated-delta-net':
      return mixer.heads * mixer.keyDim * mixer.valueDim
    case 'mamba2':
      return mixer.heads * mixer.stateDim * mixer.headDim
  }
}

/** What a layer keeps in place of keys and values: the last inputs of its convolution, and a matrix for each head. */
export class RecurrentMemory {
  /** `[kernel − 1, channels]` */
  readonly inputs: Pointer
  /** `[heads, keyDim, valueDim]` */
  readonly matrices: Pointer
  readonly #engine: Engine
  readonly #inputFloats: number
  readonly #matrixFloats: number

  constructor(engine: Engine, mixer: Recurrent) {
    this.#engine = engine
    this.#inputFloats = (mixer.conv.kernel - 1) * mixer.conv.channels
    this.#matrixFloats = matrixFloats(mixer)
    this.inputs = engine.allocateFloats(this.#inputFloats)
    this.matrices = engine.allocateFloats(this.#matrixFloats)
  }

  get bytes(): number {
    return 4 * (this.#inputFloats + this.#matrixFloats)
  }

  clear(): void {
    const { arena } = this.#engine
    arena.floats(this.inputs, this.#inputFloats).fill(0)
    arena.floats(this.matrices, this.#matrixFloats).fill(0)
  }

  dispose(): void {
    this.#engine.arena.free(this.inputs)
    this.#engine.arena.free(this.matrices)
  }
}
