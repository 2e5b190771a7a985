import {
  createInference,
  type Inference,
  type InferenceOptions,
  type Pointer,
} from '@reallm/kernels/inference'
import { Turns } from './turns.ts'

/** Tokens that go through the layers together when a prompt is read. */
export const BATCH = 64

const roundUp = (n: number, to: number) => Math.ceil(n / to) * to

/** Columns of integer weights, and of 16-bit activations, in memory. */
export const integerStride = (cols: number) => roundUp(cols, 16)

/** Rows of weights in memory. */
export const paddedRows = (rows: number) => roundUp(rows, 4)

/** The input of linear layers: float32 `[tokens, width]`, quantised once for all layers that share it. */
export class Activations {
  readonly at: Pointer
  readonly width: number
  readonly #engine: Engine
  #quantised: { values: Pointer; scales: Pointer } | undefined
  #fresh = false
  #version = 0

  constructor(engine: Engine, width: number) {
    this.#engine = engine
    this.width = width
    this.at = engine.allocateFloats(BATCH * roundUp(width, 4))
  }

  /** Rises whenever the floats have changed. */
  get version(): number {
    return this.#version
  }

  /** To be called when the floats have changed. */
  changed(): this {
    this.#fresh = false
    this.#version++
    return this
  }

  /** 16-bit values, `integerStride(width)` per token, and a scale per token. */
  quantised(tokens: number): { values: Pointer; scales: Pointer } {
    const { kernels, arena } = this.#engine
    const stride = integerStride(this.width)
    this.#quantised ??= {
      values: arena.allocate(2 * BATCH * stride),
      scales: this.#engine.allocateFloats(BATCH),
    }
    const { values, scales } = this.#quantised
    if (!this.#fresh)
      kernels.quantiseActivations(this.at, this.width, values, scales, tokens, this.width, stride)
    this.#fresh = true
    return this.#quantised
  }
}

/** Activations that are computed from others, and kept while those stay as they are, for all layers that want the same. */
export class Derived {
  readonly #to: Activations
  #from: Activations | undefined
  #version = 0
  #by = 0

  constructor(to: Activations) {
    this.#to = to
  }

  /** Activations as `compute` fills them from `from`, `by` numbering how. */
  of(from: Activations, by: number, compute: (to: Activations) => void): Activations {
    if (this.#from === from && this.#version === from.version && this.#by === by) return this.#to
    compute(this.#to.changed())
    this.#from = from
    this.#version = from.version
    this.#by = by
    return this.#to
  }
}

export interface EngineOptions extends InferenceOptions {
  /** Milliseconds after which a pass lets other work of its thread go on; default never. */
  readonly pauseAfter?: number | undefined
}

/** The kernels, their memory, and scratch space that layers share. */
export class Engine {
  readonly inference: Inference
  readonly turns: Turns
  readonly #scratch = new Map<string, Activations>()
  readonly #derived = new Map<string, Derived>()
  readonly #constants = new Map<string, Pointer>()
  readonly #spaces = new Map<string, { at: Pointer; bytes: number }>()

  private constructor(inference: Inference, turns: Turns) {
    this.inference = inference
    this.turns = turns
  }

  static async start({ pauseAfter = Number.POSITIVE_INFINITY, ...options }: EngineOptions): Promise<Engine> {
    return new Engine(await createInference(options), new Turns(pauseAfter))
  }

  get kernels() {
    return this.inference.kernels
  }

  get arena() {
    return this.inference.arena
  }

  /** Zeroed floats. */
  allocateFloats(count: number): Pointer {
    return this.arena.allocate(4 * count)
  }

  /** A copy of `values` in the memory. */
  upload({ buffer, byteOffset, byteLength }: ArrayBufferView): Pointer {
    const at = this.arena.allocate(byteLength)
    this.arena.bytes(at, byteLength).set(new Uint8Array(buffer, byteOffset, byteLength))
    return at
  }

  /** Scratch activations: the same ones for the same purpose and width. To be asked for once: finding them takes a while. */
  scratch(purpose: string, width: number): Activations {
    const key = `${purpose} ${width}`
    const found = this.#scratch.get(key) ?? new Activations(this, width)
    this.#scratch.set(key, found)
    return found.changed()
  }

  /** Scratch activations that are computed from others: the same ones for the same purpose and width. */
  derived(purpose: string, width: number): Derived {
    const key = `${purpose} ${width}`
    const found = this.#derived.get(key) ?? new Derived(this.scratch(purpose, width))
    this.#derived.set(key, found)
    return found
  }

  /** Values that never change, uploaded once. */
  constant(key: string, make: () => ArrayBufferView): Pointer {
    const at = this.#constants.get(key) ?? this.upload(make())
    this.#constants.set(key, at)
    return at
  }

  /** Working space of at least so many bytes: the same for the same purpose. */
  scratchBytes(purpose: string, bytes: number): Pointer {
    const space = this.#spaces.get(purpose)
    if (space && space.bytes >= bytes) return space.at
    if (space) this.arena.free(space.at)
    const at = this.arena.allocate(bytes)
    this.#spaces.set(purpose, { at, bytes })
    return at
  }
}
