import { type KernelFeatures, RUN_BYTES, SAMPLING_BYTES } from '@reallm/kernels/webgpu'
import { Constants } from './arena.ts'
import { type Buffers, type Prepared, prepare, roleKernels, WordList } from './build.ts'
import { compileOp } from './compile-op.ts'
import { Compiler } from './compiler.ts'
import type { Device } from './device.ts'
import { type GpuOp, isRare } from './gpu-op.ts'
import { kernelOf, type RopePlace, type Stage } from './stage.ts'
import type { Shared } from './steps.ts'
import { padded, Tables, tableCountsOf } from './tables.ts'

/** Tokens chosen at most in one call. */
export const MOST_CHOSEN = 64

/** Lists of dispatches: for one token and for several, those of the head after each. */
const lists = ['one', 'oneHead', 'many', 'manyHead'] as const
export type ListName = (typeof lists)[number]

interface ProgramBuffers extends Buffers {
  /** As `run`, for the head. */
  readonly headRun: GPUBuffer
  readonly staging: GPUBuffer
  readonly sampling: GPUBuffer
  readonly seen: GPUBuffer
  readonly chosen: GPUBuffer
}

export interface ProgramOptions {
  /** Tokens at most that go through the layers together. */
  readonly batch: number
  /** How keys and values are kept. */
  readonly cache: 'f16' | 'f32'
  readonly features: KernelFeatures
}

/** A program before its kernels are compiled. */
export interface ProgramParts {
  readonly device: Device
  readonly buffers: ProgramBuffers
  readonly prepared: Readonly<Record<ListName, readonly Prepared[]>>
  readonly ropes: readonly RopePlace[]
  readonly vocabulary: number
}

/** Turns ops into lists of dispatches and makes the buffers that they work in. */
export async function compileProgram(
  device: Device,
  ops: readonly GpuOp[],
  { batch, cache, features }: ProgramOptions,
): Promise<ProgramParts> {
  const shared: Shared = {
    ...{ constants: new Constants(), tables: new Tables(), ropes: [], matrices: new Map(), cache, batch },
  }
  const [one, many] = [new Compiler(shared, 1), new Compiler(shared, batch)]
  const rare = ops.some(isRare) ? await import('./compile-rare.ts') : undefined
  for (const op of ops) {
    for (const compiler of [one, many]) {
      if (isRare(op)) rare!.compileRare(compiler, op)
      else compileOp(compiler, op)
    }
  }
  const tableCounts = tableCountsOf(ops)
  const all = [one.stages, one.headStages, many.stages, many.headStages]
  const roles = roleKernels(device, all.flat(), cache, tableCounts, features)
  const integers = features.integerDots
    ? (await import('@reallm/kernels/webgpu/matmul-integers')).trellisMatmulIntegers
    : undefined
  const [args, jobs] = [new WordList(), new WordList()]
  const context = {
    device,
    args,
    jobs,
    tables: shared.tables,
    cache,
    roles,
    tableCounts,
    features,
    integers,
    rare,
  }
  const stages = {
    ...{ one: one.stages, oneHead: one.headStages, many: many.stages, manyHead: many.headStages },
  } satisfies Record<ListName, readonly Stage[]>
  const prepared = Object.fromEntries(
    lists.map(name => [
      name,
      stages[name].flatMap(stage => prepare(stage, { ...context, isMany: name === 'many' })),
    ]),
  ) as Record<ListName, Prepared[]>
  const last = ops.find(op => op.kind === 'head' || op.kind === 'column-squares')
  const vocabulary = last?.weight.rows ?? 1
  const scratch = [...roles.entries()].map(([key, { memory, size }]) => {
    if (memory === 'workgroup') return 0
    const slots = all
      .flat()
      .map(stage => (stage.kind === 'vector' && kernelOf(stage) === key ? stage.slots.length : 0))
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
  return { device, buffers, prepared, vocabulary, ropes: shared.ropes }
}
