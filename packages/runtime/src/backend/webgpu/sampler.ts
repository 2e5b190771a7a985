import { NO_TOKEN, type Sampling, sampleKernel, samplingWords } from '@reallm/kernels/webgpu/sample'
import { ReallmError } from '@reallm/tensor-io'
import type { Device } from './device.ts'

/** Chooses a token from the logits on the device. */
export interface Sampler {
  readonly pipeline: GPUComputePipeline
  words(sampling: Sampling): Uint32Array<ArrayBuffer>
  /** The ids that the kernel wrote. Throws `numeric` where logits were no numbers. */
  chosen(ids: Uint32Array): number[]
}

/** Tokens of a vocabulary that keeps a large workgroup busy. */
const LARGE_VOCABULARY = 2 ** 14

/** The kernel that draws tokens: fetched and compiled when the first is drawn. */
export const openSampler = async (device: Device, vocabulary: number): Promise<Sampler> => ({
  pipeline: await device.pipeline(
    sampleKernel(
      vocabulary < LARGE_VOCABULARY ? Math.min(256, device.largeWorkgroup) : device.largeWorkgroup,
    ),
  ),
  words: samplingWords,
  chosen(ids) {
    if (ids.includes(NO_TOKEN)) {
      throw new ReallmError(
        'numeric',
        'the model computes NaN on the GPU: its weights are damaged, or too large',
        {
          hint: '`reallm inspect --check` says whether some of them are not finite',
        },
      )
    }
    return [...ids]
  },
})
