import type { MatrixCodec } from '@reallm/tensor-io'
import { type GridParams, grid, normalfloat, withFeedback } from '@reallm/vq'
import { type Configuration, configuration } from '../configuration.ts'

type Group = 'auto' | 'row'

const feedbackGrid = withFeedback(grid)
const suffix = { auto: { id: '', label: '' }, row: { id: '-row', label: ', a scale per row' } }

const gridConfiguration = (codec: MatrixCodec<GridParams>, bits: number, group: Group): Configuration =>
  configuration({
    id: `grid-${bits}b${suffix[group].id}`,
    label: `grid ${bits} bits${suffix[group].label}`,
    codec,
    params: { bits, group },
    family: group === 'row' ? 'row grid' : 'grid',
  })

/** Uniform integers, rounded to nearest. */
export const gridAt = (bits: number, group: Group = 'auto'): Configuration =>
  gridConfiguration(grid, bits, group)

/** Uniform integers, rounded with error feedback. */
export const gridWithFeedback = (bits: number, group: Group = 'auto'): Configuration =>
  gridConfiguration(feedbackGrid, bits, group)

const gridBits = [1, 2, 3, 4, 5, 6, 7, 8]

export const gridRates = (): Configuration[] => gridBits.flatMap(b => [gridAt(b), gridAt(b, 'row')])

export const gridRatesWithFeedback = (): Configuration[] =>
  gridBits.flatMap(b => [gridWithFeedback(b), gridWithFeedback(b, 'row')])

/** For embeddings, which are looked up row by row. */
export const embeddingGrids = (): Configuration[] => [2, 3, 4, 8].map(bits => gridWithFeedback(bits))

/** NormalFloat from 2 bits: rounding to 1 bit changes a model far more than a second-order prediction says. */
export const normalFloatRates = (): Configuration[] => [
  ...[2, 3, 4].flatMap(bits =>
    (['auto', 'row'] as const).map(group =>
      configuration({
        id: `nf-${bits}b${suffix[group].id}`,
        label: `normalfloat ${bits} bits${suffix[group].label}`,
        codec: normalfloat,
        params: { bits, group },
        family: group === 'row' ? 'row normalfloat' : 'normalfloat',
      }),
    ),
  ),
  gridAt(8),
]
