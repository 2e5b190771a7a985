/** A way to store one matrix, as the page offers it; `encode-matrix.ts` has the codecs behind these names. */
export interface CodecChoice {
  readonly id: 'trellis' | 'e8' | 'vectors' | 'normalfloat' | 'grid'
  readonly label: string
  readonly about: string
  /** Bits per weight of the codes, scales not counted. */
  readonly rates: readonly number[]
}

export const codecChoices: readonly CodecChoice[] = [
  {
    id: 'trellis',
    label: 'Trellis code, rotated',
    about: 'Random signs and a Hadamard transform rotate both sides; rows become paths through a trellis.',
    rates: [1, 1.5, 2, 2.5, 3, 3.5, 4],
  },
  {
    id: 'e8',
    label: 'E8 lattice, rotated',
    about: 'Rounds eight weights at a time to the densest lattice of eight dimensions.',
    rates: [2, 3, 4],
  },
  {
    id: 'vectors',
    label: 'Vectors of 2, k-means',
    about: 'Pairs of weights share a codebook that is fitted to this matrix.',
    rates: [1, 1.5, 2, 2.5, 3, 3.5, 4],
  },
  {
    id: 'normalfloat',
    label: 'NormalFloat',
    about: 'Quantiles of the normal distribution, a scale per group, as in QLoRA.',
    rates: [2, 3, 4],
  },
  {
    id: 'grid',
    label: 'Uniform integers',
    about: 'Rounding to equal steps, a scale per group.',
    rates: [1, 2, 3, 4, 5, 6, 7, 8],
  },
]
