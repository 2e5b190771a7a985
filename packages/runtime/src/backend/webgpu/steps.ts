import { rotationMatrices } from '@reallm/kernels/webgpu'
import type { Rope } from '@reallm/tensor-io/models'
import type { NormOp } from '../op.ts'
import type { Vector } from '../weight.ts'
import type { Arena, Constants } from './arena.ts'
import { floatWord, type RopePlace, type VectorStep } from './stage.ts'
import type { Tables } from './tables.ts'
import type { GpuVector } from './vector.ts'
import type { GpuWeight, LowRankStep, Step } from './weight.ts'

/** What programs for one token and for several have in common. */
export interface Shared {
  readonly constants: Constants
  readonly tables: Tables
  readonly ropes: RopePlace[]
  readonly matrices: Map<number, Float32Array>
  readonly cache: 'f16' | 'f32'
  readonly batch: number
}

/** Makes the steps of vector kernels, and places the constants that they read. */
export class Steps {
  readonly #shared: Shared
  readonly #x: Arena
  readonly #ones = new Map<number, Float32Array>()

  constructor(shared: Shared, x: Arena) {
    this.#shared = shared
    this.#x = x
  }

  /** What an input goes through before a product with a weight. */
  before(weight: GpuWeight, taps: Map<Step, number>): VectorStep[] {
    return weight.before.map(step => {
      if (step.kind === 'scale') return this.scale(step.factors)
      if (step.kind === 'rotate') return this.rotate('rotateInput', step)
      return this.#lowRank('lowRankInput', step, weight.cols, step.right, taps)
    })
  }

  /** What the result goes through. */
  after(weight: GpuWeight, taps: Map<Step, number>): VectorStep[] {
    return weight.after.map(step => {
      if (step.kind === 'scale') return this.scale(step.factors)
      if (step.kind === 'rotate') return this.rotate('rotateOutput', step)
      return this.#lowRank('lowRankOutput', step, weight.rows, step.left, taps)
    })
  }

  /** Multiplies by a factor for each value. */
  scale(factors: Float32Array): VectorStep {
    const size = factors.length
    return { op: 'scale', words: [size, this.#shared.constants.place(factors)], size }
  }

  /** Signs and Hadamard transforms, see `rotationMatrices`. */
  rotate(
    op: 'rotateInput' | 'rotateOutput',
    { signs, width }: { signs: Uint32Array; width: number },
  ): VectorStep {
    const { constants, matrices } = this.#shared
    const known = matrices.get(width)
    const joined = known ?? Float32Array.from(rotationMatrices(width).flatMap(m => [...m]))
    if (!known) matrices.set(width, joined)
    return { op, words: [width, constants.place(signs), constants.place(joined)], size: width }
  }

  #lowRank(
    op: 'lowRankInput' | 'lowRankOutput',
    step: LowRankStep,
    n: number,
    factor: Float32Array,
    taps: Map<Step, number>,
  ): VectorStep {
    let at = taps.get(step)
    if (at === undefined) {
      at = this.#x.take(step.rank * this.#shared.batch).at
      taps.set(step, at)
    }
    return { op, words: [n, step.rank, this.#shared.constants.place(factor), at], size: n }
  }

  /** RMS norm. */
  norm({ weight, eps }: NormOp, n: number): VectorStep {
    return { op: 'norm', words: [n, weight.length, this.vector(weight), floatWord(eps)], size: n }
  }

  /** Divides every `width` of `n` values by their root mean square. */
  plainNorm(n: number, width: number, eps: number): VectorStep {
    const ones = this.#ones.get(width) ?? new Float32Array(width).fill(1)
    this.#ones.set(width, ones)
    return { op: 'norm', words: [n, width, this.#shared.constants.place(ones), floatWord(eps)], size: n }
  }

  /** Where a vector lies among the constants. */
  vector(vector: Vector): number {
    return this.#shared.constants.place((vector as GpuVector).values)
  }

  /** Turns queries or keys by their positions. */
  rope(rope: Rope, isQuery: boolean, n: number, headDim: number): VectorStep {
    const { ropes, batch } = this.#shared
    const own = isQuery && rope.temperature !== undefined
    const pairs = rope.inverseFrequencies.length
    let place = ropes.find(other => other.rope === rope && other.isQuery === own)
    if (!place) {
      const at = ropes.reduce(
        (end, other) => Math.max(end, other.sin + batch * other.rope.inverseFrequencies.length),
        0,
      )
      place = { rope, isQuery: own, cos: at, sin: at + batch * pairs }
      ropes.push(place)
    }
    return { op: 'rope', words: [n, headDim, pairs, Number(rope.interleaved), place.cos, place.sin], size: n }
  }
}
