import { plusLowRank } from '@reallm/lowrank'
import { e8, kmeans, normalfloat, rotated, withFeedback } from '@reallm/vq'
import type { MatrixModule } from '../../open/model-parts.ts'
import { type Configuration, configuration } from '../configuration.ts'
import { gridAt, normalFloatRates } from './scalar.ts'

const vectors = withFeedback(kmeans)
const rotatedE8 = rotated(withFeedback(e8))

/** The E8 lattice behind rotations, 2 to 4 bits per weight. */
export const e8Rates = (): Configuration[] =>
  ([2, 3, 4] as const).map(bits =>
    configuration({
      id: `e8-${bits}b`,
      label: `E8 ${bits} bits`,
      codec: rotatedE8,
      params: { inner: { bits } },
      family: 'e8',
    }),
  )

/** k-means codebooks of 2 or 4 weights. */
export const vectorRates = (): Configuration[] => [
  ...[1, 1.5, 2, 2.5, 3, 3.5, 4].map(bits => vectorsAt(2, bits)),
  ...[1, 1.25, 1.5, 1.75, 2].map(bits => vectorsAt(4, bits)),
  gridAt(8),
]

const vectorsAt = (dim: 2 | 4, bits: number): Configuration =>
  configuration({
    id: `vectors${dim}-${bits}b`,
    label: `vectors of ${dim}, ${bits} bits`,
    codec: vectors,
    params: { bits, dim },
    family: `vectors of ${dim}`,
  })

/** Rank that grows with the matrix: 3 where 192 is the smaller side, 64 where 4096 is. */
export const rankFor = ({ shape }: MatrixModule): number =>
  Math.max(1, Math.min(64, Math.round(Math.min(...shape) / 64)))

/** NormalFloat, with and without a low-rank part. */
export function normalFloatWithRank(module: MatrixModule): Configuration[] {
  const rank = rankFor(module)
  const codec = plusLowRank({ rank, bits: 8, weighting: 'diagonal', starts: 'each' }, normalfloat)
  return [
    gridAt(1),
    ...normalFloatRates(),
    ...[2, 3, 4].map(bits =>
      configuration({
        id: `nf-${bits}b-lowrank`,
        label: `normalfloat ${bits} bits + rank ${rank}`,
        codec,
        params: { inner: { bits, group: 'auto' } },
        family: 'with rank',
      }),
    ),
  ]
}

/** The paper's path without a network: vectors of neighbouring weights, in permuted columns or beside a low-rank part. */
export function vectorsWithRank(module: MatrixModule): Configuration[] {
  const rank = rankFor(module)
  const codec = plusLowRank({ rank, bits: 8, rounds: 5 }, vectors)
  const inner = (bits: number, permute: boolean) => ({ bits, dim: 2 as const, permute })
  return [
    ...vectorRates(),
    ...[1.5, 2, 2.5, 3, 3.5, 4].map(bits =>
      configuration({
        id: `vectors2-${bits}b-lowrank`,
        label: `vectors of 2, ${bits} bits + rank ${rank}`,
        codec,
        params: { inner: inner(bits, false) },
        family: 'with rank',
      }),
    ),
    ...[2, 3, 4].map(bits =>
      configuration({
        id: `vectors2-${bits}b-permuted`,
        label: `permuted vectors of 2, ${bits} bits`,
        codec: kmeans,
        params: inner(bits, true),
        family: 'permuted',
      }),
    ),
  ]
}
