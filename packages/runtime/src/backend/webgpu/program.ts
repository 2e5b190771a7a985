import { runWords } from '@reallm/kernels/webgpu'
import type { Sampling } from '@reallm/kernels/webgpu/sample'
import { ReallmError } from '@reallm/tensor-io'
import { rotations } from '@reallm/tensor-io/models'
import type { Batch, Choice, Program } from '../backend.ts'
import type { Dispatch, Prepared } from './build.ts'
import {
  compileProgram,
  type ListName,
  MOST_CHOSEN,
  type ProgramOptions,
  type ProgramParts,
} from './compile-program.ts'
import type { Device } from './device.ts'
import { bindGroup, build, encode } from './dispatch.ts'
import type { GpuOp } from './gpu-op.ts'
import { partsOf } from './parts.ts'
import type { Sampler } from './sampler.ts'
import type { GpuState } from './state.ts'

interface BoundSampler extends Sampler {
  readonly group: GPUBindGroup
}

/** Ops compiled to dispatches, with the buffers they work in. */
export class GpuProgram implements Program {
  readonly #device: Device
  readonly #parts: ProgramParts
  readonly #lists = new Map<ListName, Promise<readonly Dispatch[]>>()
  #sampler: Promise<BoundSampler> | undefined
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(parts: ProgramParts) {
    this.#device = parts.device
    this.#parts = parts
  }

  static async compile(device: Device, ops: readonly GpuOp[], options: ProgramOptions): Promise<GpuProgram> {
    return new GpuProgram(await compileProgram(device, ops, options))
  }

  /** What the dispatches of a token and of its logits are made of. */
  get prepared(): readonly Prepared[] {
    const { one, oneHead } = this.#parts.prepared
    return [...one, ...oneHead]
  }

  /** The same, compiled and bound. */
  async dispatches(): Promise<readonly Dispatch[]> {
    return [...(await this.#dispatches('one')), ...(await this.#dispatches('oneHead'))]
  }

  read(batch: Batch): Promise<void> {
    return this.#inTurn(async () => {
      await this.#begin(batch)
      this.#submit(batch, await this.#layersOf(batch))
      this.#end(batch)
    })
  }

  logits(batch: Batch, of: 'last' | 'all'): Promise<Float32Array> {
    return this.#inTurn(async () => {
      await this.#begin(batch)
      this.#submit(batch, await this.#layersOf(batch))
      const tokens = batch.ids.length
      const first = of === 'all' ? 0 : tokens - 1
      const all = new Float32Array((tokens - first) * this.#parts.vocabulary)
      for (let t = first; t < tokens; t++) {
        await this.#submitHead(batch, t, this.#parts.buffers.staging)
        all.set(await this.#map(Float32Array, this.#parts.vocabulary), (t - first) * this.#parts.vocabulary)
      }
      this.#end(batch)
      return all
    })
  }

  sample(batch: Batch, { options, previous, draws }: Choice): Promise<readonly number[]> {
    if (draws.length < 1 || draws.length > MOST_CHOSEN) {
      throw new ReallmError(
        'bad-option',
        `1 to ${MOST_CHOSEN} tokens are chosen at a time, not ${draws.length}`,
      )
    }
    return this.#inTurn(async () => {
      const { gpu } = this.#device
      const { temperature = 0, topK = 0, topP = 1, minP = 0, repetitionPenalty: penalty = 1 } = options
      if (penalty !== 1) {
        const seen = new Uint32Array(Math.ceil(this.#parts.vocabulary / 32))
        for (const id of previous) seen[id >> 5] |= 1 << (id & 31)
        gpu.queue.writeBuffer(this.#parts.buffers.seen, 0, seen)
      }
      await this.#begin(batch, draws.length - 1)
      this.#submit(batch, await this.#layersOf(batch))
      let step: Batch = batch
      for (const [index, draw] of draws.entries()) {
        if (index > 0) {
          this.#end(step)
          step = { ...batch, ids: [0] }
          this.#submit(step, await this.#dispatches('one'), false)
        }
        const isLast = index === draws.length - 1
        const sampling = {
          vocabulary: this.#parts.vocabulary,
          index,
          topK,
          temperature,
          topP,
          minP,
          penalty,
          draw,
        }
        await this.#submitHead(
          step,
          step.ids.length - 1,
          isLast ? this.#parts.buffers.staging : undefined,
          sampling,
        )
      }
      this.#end(step)
      const { chosen } = await this.#samplerOnce()
      return chosen(await this.#map(Uint32Array, draws.length))
    })
  }

  [Symbol.dispose](): void {
    for (const buffer of Object.values(this.#parts.buffers)) this.#device.free(buffer)
  }

  /** One call after another: they share all buffers. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  #layersOf({ ids }: Batch): Promise<readonly Dispatch[]> {
    return this.#dispatches(ids.length === 1 ? 'one' : 'many')
  }

  /** A list, whose kernels are compiled when it is first needed. */
  #dispatches(name: ListName): Promise<readonly Dispatch[]> {
    const known = this.#lists.get(name)
    if (known) return known
    const { buffers, prepared } = this.#parts
    const bound = name.endsWith('Head') ? { ...buffers, run: buffers.headRun } : buffers
    const built = Promise.all(prepared[name].map(p => build(this.#device, p, bound)))
    this.#lists.set(name, built)
    return built
  }

  #samplerOnce(): Promise<BoundSampler> {
    this.#sampler ??= (async () => {
      const { sampling, logits, seen, chosen, ids } = this.#parts.buffers
      const { openSampler } = await import('./sampler.ts')
      const sampler = await openSampler(this.#device, this.#parts.vocabulary)
      const bound = [sampling, logits, seen, chosen, ids].map((buffer, binding) => [binding, buffer] as const)
      return { ...sampler, group: bindGroup(this.#device, sampler.pipeline, bound) }
    })()
    return this.#sampler
  }

  async #begin({ ids, state }: Batch, further = 0): Promise<void> {
    this.#device.check()
    const s = state as GpuState
    await s.reserve(s.length + ids.length + further)
  }

  #end({ ids, state }: Batch): void {
    const s = state as GpuState
    s.length += ids.length
  }

  /** Writes what changes from run to run and submits the layers. */
  #submit({ ids, state, length }: Batch, dispatches: readonly Dispatch[], hasIds = true): void {
    const { gpu } = this.#device
    const s = state as GpuState
    const { queue } = gpu
    const tokens = ids.length
    const parts = partsOf(s.length + tokens, tokens)
    queue.writeBuffer(this.#parts.buffers.run, 0, runWords({ ...this.#runOf(s, tokens), first: 0 }))
    if (hasIds) queue.writeBuffer(this.#parts.buffers.ids, 0, Uint32Array.from(ids))
    for (const { rope, isQuery, cos, sin } of this.#parts.ropes) {
      const pairs = rope.inverseFrequencies.length
      const [c, n] = [new Float32Array(tokens * pairs), new Float32Array(tokens * pairs)]
      rotations(
        rope,
        { first: s.length, count: tokens, length: Math.max(length, s.length + tokens), queries: isQuery },
        c,
        n,
      )
      queue.writeBuffer(this.#parts.buffers.rope, 4 * cos, c)
      queue.writeBuffer(this.#parts.buffers.rope, 4 * sin, n)
    }
    const encoder = gpu.createCommandEncoder()
    encode(encoder, dispatches, s, tokens, parts.count)
    queue.submit([encoder.finish()])
  }

  /** Submits the head for a token, a choice where one is given, and the copy of what is to be read. */
  async #submitHead(
    { ids, state }: Batch,
    token: number,
    to: GPUBuffer | undefined,
    sampling?: Sampling,
  ): Promise<void> {
    const { gpu } = this.#device
    const s = state as GpuState
    const head = await this.#dispatches(ids.length === 1 ? 'oneHead' : 'manyHead')
    const sampler = sampling && (await this.#samplerOnce())
    gpu.queue.writeBuffer(
      this.#parts.buffers.headRun,
      0,
      runWords({ ...this.#runOf(s, ids.length), first: token }),
    )
    if (sampling && sampler) gpu.queue.writeBuffer(this.#parts.buffers.sampling, 0, sampler.words(sampling))
    const encoder = gpu.createCommandEncoder()
    encode(encoder, head, s, 1, 1)
    if (sampler) {
      const pass = encoder.beginComputePass()
      pass.setPipeline(sampler.pipeline)
      pass.setBindGroup(0, sampler.group)
      pass.dispatchWorkgroups(1)
      pass.end()
    }
    const [from, count] = sampling
      ? [this.#parts.buffers.chosen, sampling.index + 1]
      : [this.#parts.buffers.logits, this.#parts.vocabulary]
    if (to) encoder.copyBufferToBuffer(from, 0, to, 0, 4 * count)
    gpu.queue.submit([encoder.finish()])
  }

  #runOf(state: GpuState, tokens: number) {
    const { count, keys } = partsOf(state.length + tokens, tokens)
    return { tokens, position: state.length, capacity: state.capacity, parts: count, partKeys: keys }
  }

  async #map<T>(type: new (buffer: ArrayBuffer) => T, count: number): Promise<T> {
    const { staging } = this.#parts.buffers
    await staging.mapAsync(GPUMapMode.READ, 0, 4 * count)
    const values = new type(staging.getMappedRange(0, 4 * count).slice(0))
    staging.unmap()
    return values
  }
}
