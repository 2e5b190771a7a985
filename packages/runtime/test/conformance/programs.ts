import { random } from '@reallm/tensor-io'
import type { Backend, Program } from '../../src/backend/backend.ts'
import type { Op, Slot } from '../../src/backend/op.ts'
import type { Vector, Weight, WeightForm } from '../../src/backend/weight.ts'

/** Tokens of test programs. */
export const VOCAB = 40

/** Makes weights of random numbers: the same on every backend, in the order in which they are asked for. */
export class Weights {
  readonly #backend: Backend
  readonly #form: WeightForm
  readonly #draw = random(11)
  readonly #made: Disposable[] = []

  constructor(backend: Backend, form: WeightForm) {
    this.#backend = backend
    this.#form = form
  }

  /** Entries of about 1/√cols, so that products are about as large as what they multiply. */
  matrix(rows: number, cols: number): Promise<Weight> {
    const data = this.#normals(rows * cols, cols ** -0.5)
    return this.#weight(rows, cols, data)
  }

  vector(length: number): Vector {
    const vector = this.#backend.vector(this.#normals(length, 1))
    this.#made.push(vector)
    return vector
  }

  /** A table of hidden states that are of no scale in particular. */
  embedding(width: number): Promise<Weight> {
    return this.#weight(VOCAB, width, this.#normals(VOCAB * width, 1.5))
  }

  identity(width: number): Promise<Weight> {
    const data = new Float32Array(width * width)
    for (let i = 0; i < width; i++) data[i * width + i] = 1
    return this.#weight(width, width, data)
  }

  dispose(): void {
    for (const made of this.#made) made[Symbol.dispose]()
  }

  #normals(length: number, scale: number): Float32Array {
    return Float32Array.from({ length }, () => scale * this.#draw.normal())
  }

  async #weight(rows: number, cols: number, data: Float32Array): Promise<Weight> {
    const read = async (from: number, to: number) => data.subarray(from * cols, to * cols)
    const weight = await this.#backend.weight({ kind: 'floats', shape: [rows, cols], read }, this.#form)
    this.#made.push(weight)
    return weight
  }
}

/** A program that embeds tokens, runs `ops` on them and whose logits are the values of a slot. */
export async function observing(
  backend: Backend,
  weights: Weights,
  { input, ops, output }: { input: Slot; ops: readonly Op[]; output: Slot },
): Promise<Program> {
  return backend.program([
    { kind: 'embed', weight: await weights.embedding(input.width), scale: 1, to: input },
    ...ops,
    {
      ...{ kind: 'head', from: output, norm: undefined, scale: 1, softcap: undefined },
      weight: await weights.identity(output.width),
    },
  ])
}
