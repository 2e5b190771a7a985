import type { AdapterModule, Mixer } from '@reallm/tensor-io/models'
import type { Backend, Program, State } from '../backend.ts'
import type { Op } from '../op.ts'
import type { Described, Vector, Weight, WeightSource } from '../weight.ts'
import { decode, isDecodable } from './decode.ts'
import { ReferenceVector, ReferenceWeight, row } from './ops.ts'
import { ReferenceProgram, ReferenceState } from './reference-program.ts'

/** Plain TypeScript over float32 arrays, written to be right: the judge of the other backends. */
export const referenceBackend = (): Backend => new ReferenceBackend()

class ReferenceBackend implements Backend {
  readonly name = 'reference'
  readonly kernels = 'reference'
  readonly threads = 1
  readonly forms = ['f32'] as const
  readonly batch = 64
  readonly ahead = 1
  readonly #holding = new Set<{ readonly bytes: number }>()

  get bytes(): number {
    return [...this.#holding].reduce((sum, { bytes }) => sum + bytes, 0)
  }

  runs(stored: Described): boolean {
    return isDecodable(stored)
  }

  async weight(source: WeightSource): Promise<Weight> {
    if (source.kind === 'stored') {
      const { rows, cols, data } = decode(source.stored)
      return new ReferenceWeight(this.#holding, rows, cols, data)
    }
    const [rows, cols] = source.shape
    return new ReferenceWeight(this.#holding, rows, cols, (await source.read(0, rows)).slice())
  }

  async adapted(base: Weight, { a, b, scaling, magnitude }: AdapterModule): Promise<Weight> {
    const { rows, cols } = base
    const [rank] = a.shape
    const data = new Float32Array(rows * cols)
    for (let r = 0; r < rows; r++) {
      const sum = row(base, r, 1)
      for (let k = 0; k < rank; k++) {
        const factor = scaling * b.data[r * rank + k]
        for (let c = 0; c < cols; c++) sum[c] += factor * a.data[k * cols + c]
      }
      const factor = magnitude ? magnitude.data[r] / Math.hypot(...sum) : 1
      data.set(
        sum.map(v => factor * v),
        r * cols,
      )
    }
    return new ReferenceWeight(this.#holding, rows, cols, data)
  }

  vector(values: Float32Array): Vector {
    return new ReferenceVector(this.#holding, values.slice())
  }

  state(mixers: readonly Mixer[]): State {
    return new ReferenceState(this.#holding, mixers)
  }

  async program(ops: readonly Op[]): Promise<Program> {
    return new ReferenceProgram(ops)
  }

  [Symbol.dispose](): void {}
}
