/** What kernels use of a device beyond what every WebGPU has. */
export interface KernelFeatures {
  /** Invocations of the smallest subgroup: 4 to 128; 0 does without. Subgroups take invocations in their order. */
  readonly subgroups: number
  /** Whether products of several tokens multiply floats of 16 bits; sums stay on 32. */
  readonly f16: boolean
  /** Whether products of trellis codes with several tokens multiply whole numbers of 8 bits. */
  readonly integerDots: boolean
}

/** Complete on every device. */
export const plainFeatures: KernelFeatures = { subgroups: 0, f16: false, integerDots: false }
