import { ReallmError } from '@reallm/tensor-io'
import type { Backend } from '../backend.ts'
import { openDevice } from './adapter.ts'
import { WebGpuBackend } from './backend.ts'
import { isRight, timeOf } from './trial.ts'

/**
 * The GPU's backend.
 *
 * @throws `unsupported` where there is no GPU, or one that computes something else than the CPU
 */
export async function openWebGpu(): Promise<WebGpuBackend> {
  const { backend, why } = await find()
  if (backend) return backend
  throw new ReallmError('unsupported', why, {
    hint:
      typeof navigator !== 'undefined' && 'gpu' in navigator
        ? "load with device: 'wasm'"
        : "in Node install the package webgpu (npm i webgpu), in a page use a browser that has WebGPU, or load with device: 'wasm'",
  })
}

/** What there is of a GPU, and whether models are quicker on it. */
export interface GpuFinding {
  readonly found: boolean
  /** The adapter, or why there is none. */
  readonly why: string
  /** Milliseconds of a token of a small model on the GPU, and on the CPU beside it. */
  readonly milliseconds?: { readonly gpu: number; readonly cpu: number }
}

/** Looks for a GPU and times it beside `cpu`, which is closed afterwards. */
async function findGpu(cpu: Backend): Promise<GpuFinding> {
  const { backend, why } = await find()
  if (!backend) {
    cpu[Symbol.dispose]()
    return { found: false, why }
  }
  if (backend.device.isSoftware) {
    for (const opened of [backend, cpu]) opened[Symbol.dispose]()
    return { found: false, why: `${why} is a program on the CPU` }
  }
  const milliseconds = { gpu: await timeOf(backend, 'packed'), cpu: await timeOf(cpu, 'expanded') }
  backend[Symbol.dispose]()
  cpu[Symbol.dispose]()
  return { found: true, why, milliseconds }
}

let remembered: Promise<GpuFinding> | undefined

/** The same, looked for once. */
export function findGpuOnce(cpu: () => Promise<Backend>): Promise<GpuFinding> {
  remembered ??= (async () => findGpu(await cpu()))()
  return remembered
}

async function find(): Promise<{ backend: WebGpuBackend | undefined; why: string }> {
  const device = await openDevice().catch(() => undefined)
  if (!device) return { backend: undefined, why: 'no GPU was found that WebGPU can use' }
  const backend = new WebGpuBackend(device)
  const isFine = await isRight(backend).catch(() => false)
  if (isFine) return { backend, why: device.description }
  backend[Symbol.dispose]()
  return { backend: undefined, why: `${device.description} computes wrong products` }
}
