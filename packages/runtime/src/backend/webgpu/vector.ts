import type { Vector } from '../weight.ts'

/** Factors or biases; programs copy them to their constants. */
export class GpuVector implements Vector {
  readonly values: Float32Array

  constructor(values: Float32Array) {
    this.values = values.slice()
  }

  get length(): number {
    return this.values.length
  }

  [Symbol.dispose](): void {}
}
