import type { Pointer } from '@reallm/kernels/inference'
import type { Vector, Weight } from '../weight.ts'
import type { Engine } from './engine.ts'
import type { Linear } from './linear/linear.ts'

/** A weight of this backend. */
export class WasmWeight implements Weight {
  readonly linear: Linear
  readonly #engine: Engine

  constructor(engine: Engine, linear: Linear) {
    this.#engine = engine
    this.linear = linear
  }

  get rows(): number {
    return this.linear.rows
  }

  get cols(): number {
    return this.linear.cols
  }

  get bytes(): number {
    return this.linear.bytes
  }

  get multiplyAdds(): number {
    return this.linear.multiplyAdds
  }

  [Symbol.dispose](): void {
    this.#engine.turns.afterwards(() => this.linear.dispose())
  }
}

/** Floats of this backend. */
export class WasmVector implements Vector {
  readonly at: Pointer
  readonly length: number
  readonly #engine: Engine

  constructor(engine: Engine, values: Float32Array) {
    this.#engine = engine
    this.at = engine.upload(values)
    this.length = values.length
  }

  [Symbol.dispose](): void {
    this.#engine.turns.afterwards(() => this.#engine.arena.free(this.at))
  }
}

/** The linear layer of a weight that this backend has made. */
export const linearOf = (weight: Weight): Linear => (weight as WasmWeight).linear

/** The address of a vector that this backend has made. */
export const addressOf = (vector: Vector): Pointer => (vector as WasmVector).at
