import {
  attention,
  BAND_ROWS,
  type CodedKernel,
  codedJobs,
  codedLanes,
  codedMatmul,
  codedMatvec,
  type KernelFeatures,
  MATMUL_BYTES,
  MATMUL_TOKENS,
  type TrellisKernel,
  tableMemoryFor,
  trellisJobs,
  trellisMatmul,
  trellisMatvec,
  VectorBinding,
  type VectorBindingName,
  type VectorKernel,
  type VectorOpName,
  vectorBindings,
  vectorBytes,
  vectorKernel,
} from '@reallm/kernels/webgpu'
import type { trellisMatmulIntegers } from '@reallm/kernels/webgpu/matmul-integers'
import type { Routing, rareSteps } from '@reallm/kernels/webgpu/rare'
import type { Device } from './device.ts'
import {
  kernelOf,
  type LogitsStage,
  type Product,
  type ProductStage,
  type RecurrentStage,
  type Role,
  type Stage,
  stageWords,
  type VectorStage,
} from './stage.ts'
import type { GpuState } from './state.ts'
import type { Tables } from './tables.ts'
import { isTrellis, type Piece } from './weight.ts'

/** Buffers of a program by what kernels call them. */
export type Buffers = Readonly<
  Record<Exclude<VectorBindingName, 'cache' | 'codes'> | 'jobs' | 'logits', GPUBuffer>
>

/** One dispatch. */
export interface Dispatch {
  /** For reports. */
  readonly name: string
  readonly pipeline: GPUComputePipeline
  /** Bound once, or once for each state. */
  group(state: GpuState): GPUBindGroup
  workgroups(tokens: number, parts: number): readonly [number, number, number]
}

/** Bytes of workgroup memory that tables may take, so that several workgroups run side by side. */
const TABLE_BYTES = 2 ** 14

/** Words that stages read, each stage's from a place that can be bound. */
export class WordList {
  readonly #arrays: ArrayLike<number>[] = []
  size = 0

  /** Returns where they begin, in words. */
  add(words: ArrayLike<number>): number {
    const at = this.size
    this.#arrays.push(words)
    this.size += 64 * Math.ceil(Math.max(4, words.length) / 64)
    return at
  }

  words(): Uint32Array<ArrayBuffer> {
    const all = new Uint32Array(Math.max(64, this.size))
    let at = 0
    for (const array of this.#arrays) {
      all.set(array, at)
      at += 64 * Math.ceil(Math.max(4, array.length) / 64)
    }
    return all
  }
}

/** Rows of a product. */
interface ProductPart {
  readonly product: Product
  readonly piece: Piece
}

/** A stage whose words are placed, and what will bind it once all buffers are there. */
export interface Prepared {
  readonly code: string
  readonly name: string
  readonly stage: Stage
  /** Of products, those that one dispatch computes. */
  readonly parts?: readonly ProductPart[]
  bind(
    buffers: Buffers,
    state: GpuState,
  ): [binding: number, buffer: GPUBuffer, offset?: number, size?: number][]
  readonly needsState: boolean
  workgroups(tokens: number, parts: number): readonly [number, number, number]
}

/** What models with rare ops need besides; fetched for them. */
interface RareKernels {
  readonly rareSteps: typeof rareSteps
  readonly routing: Routing
  prepareRecurrent(stage: RecurrentStage, args: WordList): Prepared
}

export interface BuildContext {
  readonly device: Device
  readonly args: WordList
  readonly jobs: WordList
  readonly tables: Tables
  readonly cache: 'f16' | 'f32'
  /** Kernels of vectors by `kernelOf`, and the largest number of workgroups of those in storage. */
  readonly roles: ReadonlyMap<string, VectorKernel>
  /** Tables at most of a matrix with so many state bits. */
  readonly tableCounts: ReadonlyMap<number, number>
  readonly features: KernelFeatures
  /** The kernel of integer dot products, where they are used. */
  readonly integers: typeof trellisMatmulIntegers | undefined
  readonly rare: RareKernels | undefined
  /** Whether products are of several tokens. */
  readonly isMany: boolean
}

/** Steps that kernels of a role have whether they occur or not, so that models of one kind share them. */
const usual: Readonly<Partial<Record<Role, readonly VectorOpName[]>>> = {
  enter: ['product', 'load', 'bias', 'norm', 'residual', 'store', 'input'],
  heads: ['product', 'bias', 'norm', 'rope', 'cache', 'input'],
  attended: ['attended', 'input'],
  gated: ['product', 'bias', 'keep', 'gate', 'input'],
  logits: ['product', 'input'],
}

/** Values that vectors have room for: powers of two for small ones, for the same reason. */
const roomFor = (size: number): number =>
  size <= 1024 ? Math.max(256, 2 ** Math.ceil(Math.log2(size))) : 64 * Math.ceil(size / 64)

/** The kernels of all vector stages, by `kernelOf`. */
export function roleKernels(
  device: Device,
  stages: readonly Stage[],
  cache: 'f16' | 'f32',
  tableCounts: ReadonlyMap<number, number>,
  { subgroups }: KernelFeatures,
) {
  const roles = new Map<string, VectorStage[]>()
  for (const stage of stages) {
    if (stage.kind !== 'vector') continue
    const key = kernelOf(stage)
    roles.set(key, [...(roles.get(key) ?? []), stage])
  }
  const kernels = new Map<string, VectorKernel>()
  for (const [key, of] of roles) {
    const [{ role }] = of
    const steps = of.flatMap(({ slots }) => slots.flat())
    const ops = [...new Set<VectorOpName>([...(usual[role] ?? []), ...steps.map(({ op }) => op)])].sort()
    const size = roomFor(Math.max(...steps.map(step => step.size)))
    const turned = steps.filter(({ op }) => op === 'rotateInput' || op === 'rotateOutput')
    const rotations = [...new Set(turned.map(step => step.size))].sort((a, b) => a - b)
    const workgroupSize = size >= 2048 ? device.largeWorkgroup : size > 256 ? 256 : 64
    const embedded = of.find(({ embedding }) => embedding)?.embedding
    const memory = vectorBytes(ops, size, workgroupSize) <= device.workgroupBytes ? 'workgroup' : 'storage'
    const embedding = embedded && codesOf(embedded, tableCounts)
    kernels.set(key, { ops, size, rotations, memory, workgroupSize, cache, embedding, subgroups })
  }
  return kernels
}

function codesOf({ blob }: Piece, tableCounts: ReadonlyMap<number, number>): TrellisKernel | CodedKernel {
  if (!isTrellis(blob)) return blob.kernel
  return { kind: 'trellis', stateBits: blob.stateBits, tables: tableCounts.get(blob.stateBits)! }
}

/** Dispatches of a stage, their words placed. */
export function prepare(stage: Stage, context: BuildContext): Prepared[] {
  switch (stage.kind) {
    case 'vector':
      return [prepareVector(stage, context)]
    case 'product':
      return prepareProducts(stage, context)
    case 'logits':
      return [prepareLogits(stage, context)]
    case 'recurrent':
      return [context.rare!.prepareRecurrent(stage, context.args)]
    case 'attention': {
      const { layer, kvHeads } = stage
      const kernel = { ...stage.kernel, memory: context.device.workgroupBytes }
      const at = context.args.add(stage.words)
      return [
        {
          code: attention(kernel),
          name: 'attention',
          stage,
          needsState: true,
          bind: (b, state) => [
            [0, b.run],
            [1, b.args, 4 * at, 4 * 64],
            [2, b.x],
            [3, state.buffers[layer]],
            [4, b.partials],
          ],
          workgroups: (tokens, parts) => [parts, kvHeads, Math.ceil(tokens / kernel.tokens)],
        },
      ]
    }
  }
}

function prepareVector(stage: VectorStage, { args, roles, rare }: BuildContext): Prepared {
  const kernel = roles.get(kernelOf(stage))!
  const words = stageWords(stage.slots)
  const at = args.add(words)
  const size = 4 * 64 * Math.ceil(words.length / 64)
  const bindings = vectorBindings(kernel)
  const used = new Set(bindings)
  return {
    code: vectorKernel(kernel, rare?.rareSteps),
    name: stage.role,
    stage,
    needsState: used.has('cache'),
    bind: (buffers, state) =>
      bindings.map(name => {
        const binding = VectorBinding[name]
        if (name === 'args') return [binding, buffers.args, 4 * at, size]
        if (name === 'cache') return [binding, state.buffers[stage.layer!]]
        if (name === 'codes') return [binding, stage.embedding?.place.buffer ?? buffers.scratch]
        return [binding, buffers[name]]
      }),
    workgroups: tokens => [stage.slots.length, tokens, 1],
  }
}

/** Products of one dispatch. */
interface ProductGroup {
  readonly code: string
  readonly parts: ProductPart[]
  readonly jobs: number[]
}

function prepareProducts(stage: ProductStage, context: BuildContext): Prepared[] {
  const { jobs, tables, tableCounts, isMany } = context
  const isHead = stage.isHead
  const groups = new Map<string, ProductGroup>()
  const pages = new Map<GPUBuffer, number>()
  for (const product of stage.products) {
    const { weight, input, inputStep, output, outputStep, chunks, expert } = product
    for (const piece of weight.pieces) {
      const { blob, place, firstRow } = piece
      if (!pages.has(place.buffer)) pages.set(place.buffer, pages.size)
      const kernel = codesOf(piece, tableCounts)
      const code = productCode(kernel, blob.cols, expert && context.rare?.routing, context)
      const key = `${pages.get(place.buffer)} ${code}`
      const group: ProductGroup = groups.get(key) ?? { code, parts: [], jobs: [] }
      groups.set(key, group)
      group.parts.push({ product, piece })
      const where = {
        ...{ codes: place.at, input: input.at / 4, inputStep: inputStep / 4 },
        ...{ output: output.at + firstRow, outputStep, shares: expert ? expert.shares + 1 : 0 },
      }
      const made = isTrellis(blob)
        ? trellisJobs(blob, { ...where, tables: tables.place(blob.tables) }, chunks)
        : codedJobs(blob, where, isMany ? BAND_ROWS : undefined)
      for (const word of made) group.jobs.push(word)
    }
  }
  return [...groups.values()].map(({ code, parts, jobs: words }) => {
    const { blob, place } = parts[0].piece
    const at = jobs.add(words)
    const count = words.length / 16
    return {
      code,
      name: isHead ? 'head' : isMany ? 'matmul' : 'matvec',
      stage,
      parts,
      needsState: false,
      bind: b => [
        [0, place.buffer],
        ...(isTrellis(blob) ? [[1, b.tables] as [number, GPUBuffer]] : []),
        [2, b.x],
        [3, isHead ? b.logits : b.y],
        [4, b.jobs, 4 * at, 4 * 64 * Math.ceil(words.length / 64)],
        ...(isMany ? [[5, b.run, 0, 16] as [number, GPUBuffer, number, number]] : []),
      ],
      workgroups: tokens => [count, isMany ? Math.ceil(tokens / MATMUL_TOKENS) : 1, 1],
    }
  })
}

function productCode(
  kernel: TrellisKernel | CodedKernel,
  cols: number,
  routing: Routing | undefined,
  { isMany, features, integers, device: { workgroupBytes } }: BuildContext,
): string {
  if (kernel.kind === 'coded') {
    if (isMany) return codedMatmul(kernel, features.f16, routing)
    return codedMatvec(kernel, features.subgroups, codedLanes(cols), routing)
  }
  const taken = isMany ? MATMUL_BYTES : 1024
  const memory = tableMemoryFor(kernel, Math.min(TABLE_BYTES, workgroupBytes - taken))
  if (!isMany) return trellisMatvec(kernel, memory, routing)
  if (integers && !routing) return integers(kernel, memory)
  return trellisMatmul(kernel, memory, features.f16, routing)
}

function prepareLogits(stage: LogitsStage, { args }: BuildContext): Prepared {
  const { code, count, from, words } = stage
  const at = args.add(words)
  return {
    code,
    name: 'logits',
    stage,
    needsState: false,
    bind: b => [
      [0, from === 'x' ? b.x : b.y],
      [1, b.logits],
      [2, b.args, 4 * at, 4 * 64],
    ],
    workgroups: () => [Math.ceil(count / 256), 1, 1],
  }
}
