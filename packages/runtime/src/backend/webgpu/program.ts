import { RUN_BYTES, runWords, SAMPLING_BYTES, type Sampling } from '@reallm/kernels/webgpu'
import { ReallmError } from '@reallm/tensor-io'
import { rotations } from '@reallm/tensor-io/models'
import type { Batch, Choice, Program } from '../backend.ts'
import type { Op } from '../op.ts'
import { Constants } from './arena.ts'
import { type Buffers, type Dispatch, type Prepared, prepare, roleKernels, WordList } from './build.ts'
import { Compiler, MOST_PARTS } from './compiler.ts'
import type { Device } from './device.ts'
import { bindGroup, build, encode } from './dispatch.ts'
import type { Sampler } from './sampler.ts'
import type { RopePlace, Stage } from './stage.ts'
import type { GpuState } from './state.ts'
import type { Shared } from './steps.ts'
import { padded, Tables, tableCountsOf } from './tables.ts'

/** Tokens chosen at most in one call. */
const MOST_CHOSEN = 64

/** Lists of dispatches: for one token and for several, those of the head after each. */
const lists = ['one', 'oneHead', 'many', 'manyHead'] as const
type ListName = (typeof lists)[number]

interface ProgramBuffers extends Buffers {
  /** As `run`, for the head. */
  readonly headRun: GPUBuffer
  readonly staging: GPUBuffer
  readonly sampling: GPUBuffer
  readonly seen: GPUBuffer
  readonly chosen: GPUBuffer
}

interface ProgramParts {
  readonly device: Device
  readonly buffers: ProgramBuffers
  readonly prepared: Readonly<Record<ListName, readonly Prepared[]>>
  readonly ropes: readonly RopePlace[]
  readonly vocabulary: number
}

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

  static async compile(
    device: Device,
    ops: readonly Op[],
    batch: number,
    cache: 'f16' | 'f32',
  ): Promise<GpuProgram> {
    const shared: Shared = {
      ...{ constants: new Constants(), tables: new Tables(), ropes: [], matrices: new Map(), cache, batch },
    }
    const [one, many] = [new Compiler(shared, 1), new Compiler(shared, batch)]
    for (const op of ops) {
      one.add(op)
      many.add(op)
    }
    const tableCounts = tableCountsOf(ops)
    const all = [one.stages, one.headStages, many.stages, many.headStages]
    const roles = roleKernels(device, all.flat(), cache, tableCounts)
    const [args, jobs] = [new WordList(), new WordList()]
    const context = { device, args, jobs, tables: shared.tables, cache, roles, tableCounts }
    const stages = {
      ...{ one: one.stages, oneHead: one.headStages, many: many.stages, manyHead: many.headStages },
    } satisfies Record<ListName, readonly Stage[]>
    const prepared = Object.fromEntries(
      lists.map(name => [
        name,
        stages[name].flatMap(stage => prepare(stage, { ...context, isMany: name === 'many' })),
      ]),
    ) as Record<ListName, Prepared[]>
    const head = ops.find(op => op.kind === 'head')
    const vocabulary = head?.weight.rows ?? 1
    const scratch = [...roles.entries()].map(([role, { memory, size }]) => {
      if (memory === 'workgroup') return 0
      const slots = all
        .flat()
        .map(stage => (stage.kind === 'vector' && stage.role === role ? stage.slots.length : 0))
      return 2 * size * Math.max(...slots) * batch
    })
    const floats = (name: 'x' | 'y' | 'activations' | 'partials') => Math.max(one[name].size, many[name].size)
    const ropeFloats = shared.ropes.reduce(
      (end, { rope, sin }) => Math.max(end, sin + batch * rope.inverseFrequencies.length),
      0,
    )
    const { STORAGE, COPY_DST, COPY_SRC, UNIFORM, MAP_READ } = GPUBufferUsage
    const make = (count: number, usage = STORAGE) =>
      device.buffer(4 * count, usage | COPY_DST, "the model's activations")
    const written = async (words: Uint32Array<ArrayBuffer>) => {
      const buffer = await make(words.length)
      device.gpu.queue.writeBuffer(buffer, 0, words)
      return buffer
    }
    const buffers = {
      run: await make(RUN_BYTES / 4, UNIFORM),
      headRun: await make(RUN_BYTES / 4, UNIFORM),
      args: await written(args.words()),
      jobs: await written(jobs.words()),
      constants: await written(shared.constants.words()),
      tables: await written(padded(shared.tables.words(), tableCounts)),
      x: await make(floats('x')),
      y: await make(floats('y')),
      activations: await make(floats('activations')),
      partials: await make(floats('partials')),
      scratch: await make(Math.max(0, ...scratch)),
      ids: await make(batch),
      rope: await make(ropeFloats),
      logits: await make(vocabulary, STORAGE | COPY_SRC),
      staging: await make(Math.max(vocabulary, MOST_CHOSEN), MAP_READ),
      sampling: await make(SAMPLING_BYTES / 4, UNIFORM),
      seen: await make(Math.ceil(vocabulary / 32)),
      chosen: await make(MOST_CHOSEN, STORAGE | COPY_SRC),
    }
    return new GpuProgram({ device, buffers, prepared, vocabulary, ropes: shared.ropes })
  }

  /** Dispatches of a token and of its logits. */
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
      return [...(await this.#map(Uint32Array, draws.length))]
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
      const sampler = await openSampler(this.#device)
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

/** How the keys of a text are split: one token has few heads, so that parts keep the device busy. */
function partsOf(positions: number, tokens: number): { count: number; keys: number } {
  if (tokens > 1) return { count: 1, keys: 2 ** 30 }
  const keys = Math.max(64, 32 * Math.ceil(positions / MOST_PARTS / 32))
  return { count: Math.ceil(positions / keys), keys }
}
