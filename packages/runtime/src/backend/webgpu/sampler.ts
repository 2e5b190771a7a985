import { type Sampling, sampleKernel, samplingWords } from '@reallm/kernels/webgpu'
import type { Device } from './device.ts'

/** Chooses a token from the logits on the device. */
export interface Sampler {
  readonly pipeline: GPUComputePipeline
  words(sampling: Sampling): Uint32Array<ArrayBuffer>
}

/** The kernel that draws tokens: fetched and compiled when the first is drawn. */
export const openSampler = async (device: Device): Promise<Sampler> => ({
  pipeline: await device.pipeline(sampleKernel(device.largeWorkgroup)),
  words: samplingWords,
})
