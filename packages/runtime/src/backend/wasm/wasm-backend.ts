import type { AdapterModule, Mixer } from '@reallm/tensor-io/models'
import type { Backend, Program, State } from '../backend.ts'
import { isLayered } from '../layered-op.ts'
import type { Op } from '../op.ts'
import { isRecurrent } from '../recurrent-op.ts'
import type { Described, Vector, Weight, WeightForm, WeightSource } from '../weight.ts'
import { BATCH, Engine, type EngineOptions } from './engine.ts'
import { linearOf, WasmVector, WasmWeight } from './held.ts'
import { adapted } from './linear/adapted.ts'
import { encodedLinear, isKnown } from './linear/encoded.ts'
import { floatWriter } from './linear/float.ts'
import { integerWriter } from './linear/integer.ts'
import type { Linear, LinearWriter } from './linear/linear.ts'
import { WasmProgram } from './program.ts'
import { type KvForm, WasmState } from './state.ts'

/** Floats of a matrix that are in memory at a time while it is read. */
const STAGED_FLOATS = 1 << 20

/** SIMD WebAssembly: weights, states and activations lie in one memory, and only token ids and logits cross its border. */
export async function wasmBackend({ kvCache = 'f32', ...options }: WasmOptions = {}): Promise<Backend> {
  return new WasmBackend(await Engine.start(options), kvCache)
}

export interface WasmOptions extends EngineOptions {
  /** Default `f32`. */
  readonly kvCache?: KvForm | undefined
}

export class WasmBackend implements Backend {
  readonly name = 'wasm'
  readonly forms = ['expanded', 'packed', 'int8', 'f32'] as const
  readonly batch = BATCH
  readonly ahead = 1
  readonly #engine: Engine

  readonly #kvCache: KvForm

  constructor(engine: Engine, kvCache: KvForm) {
    this.#engine = engine
    this.#kvCache = kvCache
  }

  get kernels(): string {
    return this.#engine.inference.build
  }

  get threads(): number {
    return this.#engine.inference.threads
  }

  get bytes(): number {
    return this.#engine.arena.used
  }

  runs(stored: Described): boolean {
    return isKnown(stored)
  }

  async weight(source: WeightSource, form: WeightForm): Promise<Weight> {
    const writer = (rows: number, cols: number) =>
      form === 'f32'
        ? floatWriter(this.#engine, rows, cols)
        : integerWriter(this.#engine, rows, cols, form === 'int8' ? 1 : 2)
    if (source.kind === 'floats')
      return new WasmWeight(this.#engine, await written(this.#engine, source, writer))
    const encodedForm = form === 'packed' ? 'packed' : form === 'f32' ? 'written' : 'exact'
    return new WasmWeight(
      this.#engine,
      await encodedLinear(this.#engine, source.stored, { form: encodedForm, writer }),
    )
  }

  async adapted(base: Weight, change: AdapterModule): Promise<Weight> {
    const made = await this.#engine.turns.take(() => adapted(this.#engine, linearOf(base), change))
    return new WasmWeight(this.#engine, made)
  }

  vector(values: Float32Array): Vector {
    return new WasmVector(this.#engine, values)
  }

  state(mixers: readonly Mixer[]): State {
    return new WasmState(this.#engine, mixers, this.#kvCache)
  }

  async program(ops: readonly Op[]): Promise<Program> {
    const recurrent = ops.some(isRecurrent) ? (await import('./recurrent.ts')).recurrent : undefined
    const hasExperts = ops.some(({ kind }) => kind === 'experts')
    const experts = hasExperts ? (await import('./experts.ts')).experts : undefined
    const layered = ops.some(isLayered) ? (await import('./layered.ts')).layered : undefined
    return new WasmProgram(this.#engine, ops, { recurrent, experts, layered })
  }

  /** Ends the helper threads; the memory goes when nothing refers to it any more. */
  [Symbol.dispose](): void {
    this.#engine.inference.dispose()
  }
}

/** Reads floats a few rows at a time, so that a large matrix never lies in memory as floats. */
async function written(
  engine: Engine,
  { shape: [rows, cols], read }: Extract<WeightSource, { kind: 'floats' }>,
  writer: (rows: number, cols: number) => LinearWriter,
): Promise<Linear> {
  const out = writer(rows, cols)
  const step = Math.min(rows, Math.max(1, Math.floor(STAGED_FLOATS / cols)))
  const staging = engine.allocateFloats(step * cols)
  try {
    for (let from = 0; from < rows; from += step) {
      const to = Math.min(rows, from + step)
      const data = await read(from, to)
      engine.arena.floats(staging, data.length).set(data)
      out.write(staging, to - from)
    }
  } finally {
    engine.arena.free(staging)
  }
  return out.finish()
}
