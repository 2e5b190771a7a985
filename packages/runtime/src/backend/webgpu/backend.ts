import {
  type CodedBlob,
  floatBlob,
  type KernelFeatures,
  plainFeatures,
  type TrellisBlob,
} from '@reallm/kernels/webgpu'
import { ReallmError } from '@reallm/tensor-io'
import type { AdapterModule, Mixer } from '@reallm/tensor-io/models'
import type { Backend, Program } from '../backend.ts'
import type { Described, Vector, Weight, WeightForm, WeightSource } from '../weight.ts'
import type { Device } from './device.ts'
import type { GpuOp } from './gpu-op.ts'
import { Heap } from './heap.ts'
import { GpuProgram } from './program.ts'
import { isRun, type ReadMatrix, type RowPart, readStored } from './read-stored.ts'
import { GpuState } from './state.ts'
import { GpuVector } from './vector.ts'
import { type GpuWeight, isTrellis, type Piece, type Step } from './weight.ts'

export interface WebGpuOptions {
  /** Tokens that go through the layers together. */
  readonly batch?: number
  /** How keys and values are kept; default f16, which every device packs and unpacks, whether it computes with it or not. */
  readonly cache?: 'f16' | 'f32' | undefined
  /** What kernels use beyond what every device has; default nothing. */
  readonly features?: KernelFeatures | undefined
  /** Whether the device is closed with the backend; default true. */
  readonly owns?: boolean
}

const BATCH = 256
/** Tokens chosen before the first is read back. */
const AHEAD = 4
/** Floats that are held while a plain matrix is read. */
const STAGED = 1 << 22

/** Models on a GPU: weights stay packed, and a token is a few dispatches a layer. */
export class WebGpuBackend implements Backend {
  readonly name = 'webgpu'
  readonly forms = ['packed', 'expanded', 'int8', 'f32'] as const
  readonly threads = 1
  readonly batch: number
  readonly ahead = AHEAD
  readonly device: Device
  readonly #heap: Heap
  readonly #cache: 'f16' | 'f32'
  readonly #features: KernelFeatures
  readonly #owns: boolean

  constructor(device: Device, options: WebGpuOptions = {}) {
    const { batch = BATCH, cache = 'f16', features = plainFeatures, owns = true } = options
    this.device = device
    this.#owns = owns
    this.batch = batch
    this.#heap = new Heap(device)
    this.#cache = cache
    this.#features = features
  }

  get kernels(): string {
    return this.device.description
  }

  get bytes(): number {
    return this.device.bytes
  }

  runs(stored: Described): boolean {
    return isRun(stored)
  }

  async weight(source: WeightSource, form: WeightForm): Promise<Weight> {
    if (source.kind === 'stored') {
      const [rows, cols] = source.stored.shape
      return this.#place(rows, cols, await readStored(source.stored, form))
    }
    const [rows, cols] = source.shape
    const bits = form === 'f32' ? 32 : form === 'int8' ? 8 : 16
    const most = Math.max(64, 64 * Math.floor(this.device.bindingBytes / (cols * (bits / 8 + 1)) / 64))
    const pieces: Piece[] = []
    for (let from = 0; from < rows; from += most) {
      const to = Math.min(rows, from + most)
      const blob = floatBlob(to - from, cols, bits)
      const step = Math.max(1, Math.floor(STAGED / cols))
      for (let at = from; at < to; at += step) blob.write(await source.read(at, Math.min(to, at + step)))
      pieces.push(await this.#piece(from, blob.finish()))
    }
    return this.#weight(rows, cols, pieces, [], [])
  }

  async adapted(base: Weight, change: AdapterModule): Promise<Weight> {
    const { rows, cols, pieces, before, after } = base as GpuWeight
    const { a, b, scaling, magnitude } = change
    const left = Float32Array.from(b.data, v => v * scaling)
    const step: Step = { kind: 'low-rank', rank: a.shape[0], left, right: Float32Array.from(a.data) }
    const kept: GpuWeight = {
      ...this.#weight(rows, cols, pieces, [step, ...before], [...after, step]),
      [Symbol.dispose]() {},
    }
    if (!magnitude) return kept
    const { rowNorms } = await import('./row-norms.ts')
    const norms = await rowNorms(this, kept)
    const factors = magnitude.data.map((m, r) => m / norms[r])
    const scaled: GpuWeight = { ...kept, after: [...kept.after, { kind: 'scale', factors }] }
    return scaled
  }

  vector(values: Float32Array): Vector {
    return new GpuVector(values)
  }

  state(mixers: readonly Mixer[]): GpuState {
    return new GpuState(this.device, mixers, this.#cache === 'f16' ? 2 : 4)
  }

  program(ops: readonly GpuOp[]): Promise<GpuProgram & Program> {
    return GpuProgram.compile(this.device, ops, {
      ...{ batch: this.batch, cache: this.#cache, features: this.#features },
    })
  }

  [Symbol.dispose](): void {
    if (this.#owns) this.device.close()
  }

  async #place(rows: number, cols: number, read: ReadMatrix): Promise<GpuWeight> {
    const pieces: Piece[] = []
    let first = 0
    const add = async (part: RowPart, from: number, to: number): Promise<void> => {
      const blob = part.read(from, to)
      if (4 * blob.words <= this.device.bindingBytes || to - from <= 64) {
        pieces.push(await this.#piece(first + from, blob))
        return
      }
      const middle = from + 64 * Math.ceil((to - from) / 128)
      await add(part, from, middle)
      await add(part, middle, to)
    }
    for (const part of read.parts) {
      await add(part, 0, part.rows)
      first += part.rows
    }
    return this.#weight(rows, cols, pieces, read.before, read.after)
  }

  async #piece(firstRow: number, blob: TrellisBlob | CodedBlob): Promise<Piece> {
    const place = await this.#heap.place(blob.words, at => (isTrellis(blob) ? blob.write(at) : blob.data()))
    return { firstRow, blob: isTrellis(blob) ? { ...blob, write: gone } : { ...blob, data: gone }, place }
  }

  #weight(
    rows: number,
    cols: number,
    pieces: readonly Piece[],
    before: readonly Step[],
    after: readonly Step[],
  ): GpuWeight {
    return {
      ...{ rows, cols, pieces, before, after, multiplyAdds: rows * cols },
      bytes: pieces.reduce((sum, { blob }) => sum + 4 * blob.words, 0),
      [Symbol.dispose]: () => {
        for (const { place } of pieces) this.#heap.free(place)
      },
    }
  }
}

/** The words of a blob that has been copied to the device are not held. */
const gone = (): never => {
  throw new ReallmError('bad-option', 'these weights are on the device')
}
