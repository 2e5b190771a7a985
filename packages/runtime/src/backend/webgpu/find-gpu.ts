import type { Backend } from '../backend.ts'
import { measured } from './measured.ts'
import { lookForGpu } from './open.ts'
import { timeOf } from './timed-model.ts'

/** What there is of a GPU, and whether models are quicker on it. */
export interface GpuFinding {
  readonly found: boolean
  /** The adapter and what is used of it, or why there is none. */
  readonly why: string
  /** Milliseconds of a token of a small model on the GPU, and on the CPU beside it. */
  readonly milliseconds?: { readonly gpu: number; readonly cpu: number }
}

/** Looks for a GPU and times it beside the CPU, once for each that is found. */
async function findGpu(openCpu: () => Promise<Backend>): Promise<GpuFinding> {
  const { backend: found, why } = await lookForGpu(false)
  if (!found) return { found: false, why }
  using backend = found
  if (backend.device.isSoftware) return { found: false, why: `${why} is a program on the CPU` }
  const milliseconds = await measured(backend.device, 'times', async () => {
    using cpu = await openCpu()
    const [onGpu, onCpu] = [await timeOf(backend, 'packed'), await timeOf(cpu, 'expanded')]
    return { gpu: onGpu.token, cpu: onCpu.token }
  })
  return { found: true, why, milliseconds }
}

let remembered: Promise<GpuFinding> | undefined

/** The same, looked for once. */
export function findGpuOnce(cpu: () => Promise<Backend>): Promise<GpuFinding> {
  remembered ??= findGpu(cpu)
  return remembered
}
