import { type KernelFeatures, plainFeatures } from '@reallm/kernels/webgpu'
import { WebGpuBackend } from './backend.ts'
import type { Device } from './device.ts'
import { errorOf } from './known-answer.ts'
import { measured } from './measured.ts'
import { type Trial, timeOf } from './timed-model.ts'

/** What an answer may be off with each feature, relative to the largest value. */
const tolerance = { subgroups: 1e-3, f16: 5e-3, integerDots: 2e-2 } as const
type Name = keyof typeof tolerance
/** What each is for: tokens one by one, or prompts. */
const helps = { subgroups: 'token', f16: 'prompt', integerDots: 'prompt' } as const
const names = Object.keys(tolerance) as Name[]
/** Part of the time that a feature has to save. */
const LEAST_GAIN = 0.03

/** Those that a device is known to be quicker with: measured when it is first met. */
export const chosenFeatures = (device: Device): Promise<KernelFeatures> =>
  measured(device, 'features', () => chooseFeatures(device))

/**
 * Of the features that a device has, those with which a small model gives its known answer and runs faster: integer dot products
 * cost time on some GPUs, and save it on others.
 */
export async function chooseFeatures(device: Device, trial?: Trial): Promise<KernelFeatures> {
  const using = (features: KernelFeatures) => new WebGpuBackend(device, { features, owns: false })
  let chosen = plainFeatures
  let times = await timeOf(using(chosen), 'packed', trial)
  for (const name of names) {
    const offered = device.features[name]
    if (!offered) continue
    const tried: KernelFeatures = { ...chosen, [name]: offered }
    const error = await errorOf(using(tried)).catch(() => Number.POSITIVE_INFINITY)
    if (error > tolerance[name]) continue
    const other = await timeOf(using(tried), 'packed', trial)
    if (other[helps[name]] > (1 - LEAST_GAIN) * times[helps[name]]) continue
    chosen = tried
    times = other
  }
  return chosen
}
