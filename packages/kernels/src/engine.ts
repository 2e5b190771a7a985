import { ReallmError } from '@reallm/tensor-io'
import type { NeuralKernels } from './inference/kernels.ts'
import { plain, relaxed } from './wasm/encode.ts'
import { type KernelBuild, moduleBytes, reserveMemory } from './wasm-module.ts'

/** A byte address in the engine's memory. */
export type Pointer = number

/** What `assembly/scales` exports; see there for the arguments. */
export interface ScaleKernels {
  fitScales(
    values: Pointer,
    weights: Pointer,
    n: number,
    m: number,
    width: number,
    levels: Pointer,
    count: number,
    perUnit: number,
    shares: Pointer,
    starts: number,
    rounds: number,
    hasZero: number,
    scales: Pointer,
    zeros: Pointer,
  ): void
}

/** What `assembly/encode` exports; see there for the arguments. */
interface EncodeKernels extends ScaleKernels, NeuralKernels {
  setThreads(count: number, canSleep: number): void
  stop(): void
  gemmScratch(n: number): number
  gemm(
    a: Pointer,
    b: Pointer,
    c: Pointer,
    m: number,
    n: number,
    k: number,
    lda: number,
    ldb: number,
    transposeA: number,
    transposeB: number,
    accumulate: number,
    scratch: Pointer,
    lower: number,
  ): void
  mirror(c: Pointer, n: number): void
  viterbiScratch(size: number, bits: number, length: number): number
  viterbi(
    values: Pointer,
    weights: Pointer,
    sequences: number,
    length: number,
    bits: number,
    lut: Pointer,
    size: number,
    scale: number,
    tailBiting: number,
    paths: Pointer,
    scratch: Pointer,
    coarse: Pointer,
  ): void
  nearestCentroid(
    points: Pointer,
    centroids: Pointer,
    weights: Pointer,
    weightStep: number,
    n: number,
    d: number,
    padded: number,
    out: Pointer,
  ): void
  beamScratch(count: number, size: number, beam: number): number
  beamSearch(
    similar: Pointer,
    products: Pointer,
    norms: Pointer,
    n: number,
    count: number,
    size: number,
    beam: number,
    out: Pointer,
    scratch: Pointer,
  ): void
  butterflies(data: Pointer, count: number, order: number, stride: number, scale: number): void
  denseFactor(data: Pointer, count: number, h: Pointer, order: number, stride: number, scratch: Pointer): void
  cholesky(a: Pointer, n: number, scratch: Pointer): number
  solve(t: Pointer, byRow: number, byCol: number, x: Pointer, n: number, m: number, forward: number): number
  invertLower(l: Pointer, n: number, scratch: Pointer): void
  lowerGram(l: Pointer, n: number, out: Pointer, transposed: Pointer, scratch: Pointer): void
  tridiagonalise(a: Pointer, n: number, off: Pointer, taus: Pointer, scratch: Pointer): void
  accumulate(a: Pointer, taus: Pointer, n: number, qt: Pointer): void
  rotateRows(z: Pointer, n: number, sweeps: Pointer, sweepCount: number, cs: Pointer): void
}

/** The compiled kernels and their memory. Nothing stays in it between calls. */
export interface Engine {
  readonly kernels: EncodeKernels
  readonly build: 'relaxed' | 'plain'
  readonly threads: number
  readonly memory: WebAssembly.Memory
  readonly module: WebAssembly.Module
}

const PAGE = 65536
/** 1 GiB; calls work in batches that need far less. */
const MOST_PAGES = 16384
/** The module uses the memory below. */
const FIRST: Pointer = 8192

let wanted: KernelBuild | undefined
let current: Engine | undefined
const started = new Map<string, Engine | undefined>()

/** The engine if there is one already; nothing is started. */
export const runningEngine = (): Engine | undefined => current

/** Whether `reference` was chosen, or nothing else works here. */
export const wantsReference = (): boolean => wanted === 'reference'

/** The engine, started at its first use; `undefined` where WebAssembly SIMD is missing or `reference` was chosen. */
export function engine(): Engine | undefined {
  if (current || wanted === 'reference') return current
  const builds = wanted ? [wanted] : (['relaxed', 'plain'] as const)
  for (const build of builds) {
    if (!started.has(build)) started.set(build, startEngine(build, false))
    if ((current = started.get(build))) return current
  }
  if (wanted) throw new ReallmError('unsupported', `this JavaScript engine cannot run the ${wanted} kernels`)
  wanted = 'reference'
  return undefined
}

/**
 * Chooses the kernels that all functions of this package use; without an argument the fastest ones that work here.
 *
 * @throws ReallmError `unsupported` when the chosen ones do not work here
 */
export function chooseBuild(build?: KernelBuild): KernelBuild {
  if (current && current.threads > 1) throw new ReallmError('bad-option', 'close the thread pool first')
  current = undefined
  wanted = build
  return engine()?.build ?? 'reference'
}

/** Makes another engine the current one and returns the one before. */
export function replaceEngine(next: Engine | undefined): Engine | undefined {
  const before = current
  current = next
  return before
}

/** Compiles a build; `undefined` when this JavaScript engine refuses it or computes wrong results with it. */
export function startEngine(build: 'relaxed' | 'plain', shared: boolean): Engine | undefined {
  if (typeof WebAssembly !== 'object') return undefined
  const bytes = moduleBytes(plain, shared, build === 'relaxed' ? relaxed : undefined)
  if (!WebAssembly.validate(bytes)) return undefined
  const memory = reserveMemory(MOST_PAGES, shared)
  const module = new WebAssembly.Module(bytes)
  const { exports } = new WebAssembly.Instance(module, { env: { memory } })
  const kernels = exports as typeof exports & EncodeKernels
  const candidate: Engine = { kernels, build, threads: 1, memory, module }
  return knowsAnswer(candidate) ? candidate : undefined
}

/** A small product with a known result: validation alone does not notice miscompiled relaxed instructions. */
function knowsAnswer(e: Engine): boolean {
  const [m, n, k] = [5, 11, 7]
  const [a, b, c, scratch] = reserve(e, 4 * m * k, 4 * n * k, 4 * m * n, e.kernels.gemmScratch(n))
  floats(e, a, m * k).forEach((_, i, x) => {
    x[i] = (i % 5) - 2
  })
  floats(e, b, n * k).forEach((_, i, x) => {
    x[i] = (i % 7) - 3
  })
  e.kernels.gemm(a, b, c, m, n, k, k, k, 0, 1, 0, scratch, 0)
  const [left, right] = [floats(e, a, m * k), floats(e, b, n * k)]
  return floats(e, c, m * n).every((value, at) => {
    const [i, j] = [Math.floor(at / n), at % n]
    let sum = 0
    for (let l = 0; l < k; l++) sum += left[i * k + l] * right[j * k + l]
    return value === sum
  })
}

/** Reserves scratch blocks of these sizes in bytes; their addresses are valid until the next call. Grows the memory as needed. */
export function reserve(e: Pick<Engine, 'memory'>, ...bytes: number[]): Pointer[] {
  let end = FIRST
  const addresses = bytes.map(size => {
    const at = end
    end += Math.ceil(size / 64) * 64
    return at
  })
  const missing = end - e.memory.buffer.byteLength
  if (missing > 0) {
    try {
      e.memory.grow(Math.ceil(missing / PAGE))
    } catch (cause) {
      throw new ReallmError('bad-option', `no memory for ${Math.ceil(end / 2 ** 20)} MiB of scratch`, {
        cause,
      })
    }
  }
  return addresses
}

/** A view that is valid until the next `reserve`. */
export const floats = (e: Pick<Engine, 'memory'>, at: Pointer, length: number): Float32Array =>
  new Float32Array(e.memory.buffer, at, length)

/** A view that is valid until the next `reserve`. */
export const doubles = (e: Engine, at: Pointer, length: number): Float64Array =>
  new Float64Array(e.memory.buffer, at, length)
