import { type KernelFeatures, plainFeatures } from '@reallm/kernels/webgpu'
import { ReallmError } from '@reallm/tensor-io'
import { openDevice } from './adapter.ts'
import { WebGpuBackend } from './backend.ts'
import type { Device } from './device.ts'
import { errorOf } from './known-answer.ts'

/** What an answer may be off, relative to the largest value. */
const TOLERANCE = 2e-2

/**
 * The GPU's backend.
 *
 * @param exact whether keys and values take 32 bits, and products are of floats of 32 bits
 * @throws `unsupported` where there is no GPU, or one that computes something else than the CPU
 */
export async function openWebGpu(exact = false): Promise<WebGpuBackend> {
  const { backend, why } = await lookForGpu(exact)
  if (backend) return backend
  throw new ReallmError('unsupported', why, {
    hint:
      typeof navigator !== 'undefined' && 'gpu' in navigator
        ? "load with device: 'wasm'"
        : "in Node install the package webgpu (npm i webgpu), in a page use a browser that has WebGPU, or load with device: 'wasm'",
  })
}

/** The backend and what it uses, or why there is none. */
export async function lookForGpu(
  exact: boolean,
): Promise<{ backend: WebGpuBackend | undefined; why: string }> {
  const device = await openDevice().catch(() => undefined)
  if (!device) return { backend: undefined, why: 'no GPU was found that WebGPU can use' }
  const chosen = await featuresFor(device).catch(() => plainFeatures)
  const features = exact ? { ...chosen, f16: false, integerDots: false } : chosen
  for (const tried of new Set([features, plainFeatures])) {
    const backend = new WebGpuBackend(device, { cache: exact ? 'f32' : 'f16', features: tried })
    const error = await errorOf(backend).catch(() => Number.POSITIVE_INFINITY)
    if (error <= TOLERANCE) return { backend, why: device.description + usedOf(tried) }
  }
  device.close()
  return { backend: undefined, why: `${device.description} computes wrong products` }
}

/** Those of a device that are worth it, measured when it is first met; a program on the CPU goes without. */
async function featuresFor(device: Device): Promise<KernelFeatures> {
  const { subgroups, f16, integerDots } = device.features
  if (device.isSoftware || !(subgroups > 0 || f16 || integerDots)) return plainFeatures
  return (await import('./choose-features.ts')).chosenFeatures(device)
}

function usedOf({ subgroups, f16, integerDots }: KernelFeatures): string {
  const used = [
    ...(subgroups > 0 ? [`subgroups from ${subgroups}`] : []),
    ...(f16 ? ['f16'] : []),
    ...(integerDots ? ['integer dot products'] : []),
  ]
  return used.length > 0 ? `, faster with ${used.join(', ')}` : ''
}
