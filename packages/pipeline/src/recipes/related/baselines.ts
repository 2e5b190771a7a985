import { lplrCodec, lr2vq, monarchCodec, plusLowRank, romCodec, ternaryCodec } from '@reallm/lowrank'
import { grid, rotated, withFeedback } from '@reallm/vq'
import type { MatrixModule } from '../../open/model-parts.ts'
import { type Configuration, configuration } from '../configuration.ts'
import { embeddingGrids } from '../configurations/scalar.ts'
import { type ConfigurationsOf, type Effort, type Recipe, recipe } from '../recipe.ts'
import { aqlm } from './aqlm.ts'
import { pruneRecipes } from './prune.ts'
import { trainedRecipes } from './trained.ts'

/** Rank at which the two factors of a matrix take about `rate` bits per weight, each entry on `bits`. */
const rankAt = ({ shape: [rows, cols] }: MatrixModule, rate: number, bits: number): number =>
  Math.max(1, Math.min(rows, cols, Math.floor((rate * rows * cols) / (bits * (rows + cols)))))

const rotatedGrid = rotated(withFeedback(grid))

function caldera(module: MatrixModule, effort: Effort): Configuration[] {
  const rounds = { fast: 1, normal: 3, best: 15 }[effort]
  const shares = effort === 'fast' ? [0.2] : [0.1, 0.25]
  return shares.flatMap(share => {
    const codec = plusLowRank(
      { rank: rankAt(module, share, 4), bits: 4, rounds, starts: 'each' },
      rotatedGrid,
    )
    return [1, 2, 3, 4].map(bits =>
      configuration({
        id: `caldera-${bits}b-lowrank${share}b`,
        label: `grid ${bits} bits + ${share} bits of low rank`,
        codec,
        params: { inner: { inner: { bits, group: 'row' } } },
        family: `low rank ${share}`,
      }),
    )
  })
}

const RATES = [1, 1.5, 2, 2.5, 3, 4, 6, 8]

const lplrRates =
  (sketch: 'gaussian' | 'svd') =>
  (module: MatrixModule): Configuration[] =>
    RATES.map(rate => {
      const bits = rate < 4 ? 4 : 8
      const rank = rankAt(module, rate, bits)
      return configuration({
        id: `lplr-${rate}b`,
        label: `rank ${rank}, ${bits} bits`,
        codec: lplrCodec,
        params: { rank, leftBits: bits, rightBits: bits, sketch },
        family: `${bits} bits`,
        needsAllRows: true,
      })
    })

/** More rows of T first; where there are as many as W has, more bits for C. */
const ternaryRates = ({ shape: [rows, cols] }: MatrixModule): Configuration[] =>
  RATES.map(rate => {
    const most = Math.min(rows, cols)
    const bits = [4, 8].find(b => (rate * cols) / b <= most) ?? 16
    const rank = Math.max(1, Math.min(most, Math.floor((rate * cols) / bits)))
    return configuration({
      id: `ternary-${rate}b`,
      label: `rank ${rank}, C on ${bits} bits`,
      codec: ternaryCodec,
      params: { rank, bits },
      family: `${bits} bits`,
      needsAllRows: true,
    })
  })

const monarchRates = (): Configuration[] =>
  [1, 2, 4, 8, 12].map(rank =>
    configuration({
      id: `monarch-r${rank}`,
      label: `Monarch of rank ${rank}`,
      codec: monarchCodec,
      params: { rank, bits: 8 },
      family: '8 bits',
      needsAllRows: true,
    }),
  )

const whole = configuration({
  id: 'whole-8b',
  label: 'whole, 8 bits',
  codec: grid,
  params: { bits: 8, group: 'row' },
})

/** On 8 bits each: the budget of parameters is split by sensitivity, and many matrices stay whole. */
const romShares = (): Configuration[] => [
  whole,
  ...[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9].map(share => {
    const percent = Math.round(100 * share)
    return configuration({
      id: `rom-${percent}`,
      label: `${percent} % of the parameters, 8 bits`,
      codec: romCodec,
      params: { share, bits: 8 },
      family: 'rom',
      needsAllRows: true,
    })
  }),
]

const projected = rotated(withFeedback(lr2vq))
/** Weights behind a rotation fill all dimensions: projecting them to fewer seldom pays. */
const projectedRates: ConfigurationsOf = (_, effort) =>
  [
    { codeBits: 8, vector: 8, dim: 8 },
    { codeBits: 8, vector: 6, dim: 6 },
    { codeBits: 8, vector: 4, dim: 3 },
    { codeBits: 8, vector: 4, dim: 4 },
    { codeBits: 10, vector: 4, dim: 4 },
    { codeBits: 9, vector: 3, dim: 3 },
    { codeBits: 8, vector: 2, dim: 2 },
  ].map(({ codeBits, vector, dim }) =>
    configuration({
      id: `lr2vq-${codeBits}b-v${vector}-d${dim}`,
      label: `${codeBits} bits for ${vector} weights, ${dim} dimensions`,
      codec: projected,
      params: { inner: { codeBits, vector, dim, iterations: { fast: 3, normal: 8, best: 20 }[effort] } },
      family: dim < vector ? 'fewer dimensions' : 'all dimensions',
    }),
  )

const calibrated = {
  embeddings: embeddingGrids,
  allocate: 'measured',
  objective: { kind: 'outputs' },
} as const satisfies Partial<Recipe>

/** Related methods of the literature, in this project's frame: baselines to compare with. */
export const baselines: readonly Recipe[] = [
  recipe({
    name: 'caldera',
    what: 'rotated uniform integers with error feedback beside a low-rank part on 4 bits, alternating under H',
    source: 'CALDERA arXiv 2405.18886',
    layers: caldera,
    ...calibrated,
  }),
  recipe({
    name: 'lplr',
    what: 'a quantised Gaussian sketch times its quantised least-squares answer',
    source: 'LPLR arXiv 2310.11028',
    layers: lplrRates('gaussian'),
    ...calibrated,
  }),
  recipe({
    name: 'lplr-svd',
    what: 'quantised leading singular vectors times their quantised least-squares answer',
    source: 'LPLR arXiv 2310.11028',
    layers: lplrRates('svd'),
    ...calibrated,
  }),
  recipe({
    name: 'lr2vq',
    what: 'vectors quantised in a learned low-dimensional space, with error feedback',
    source: 'LR²VQ arXiv 2211.11397',
    layers: projectedRates,
    ...calibrated,
  }),
  recipe({
    name: 'monarch',
    what: 'the nearest product of two block-diagonal matrices, run as such',
    source: 'Monarch arXiv 2204.00595',
    layers: monarchRates,
    ...calibrated,
  }),
  recipe({
    name: 'ternary',
    what: 'a right factor of −1, 0 and 1 from a seed; only the left one is stored',
    source: 'sparse random ternary matrices arXiv 2103.17142',
    layers: ternaryRates,
    ...calibrated,
  }),
  recipe({
    name: 'llm-rom',
    what: 'two layers for one, from the principal directions of its outputs',
    source: 'LLM-ROM arXiv 2312.07046',
    layers: romShares,
    embeddings: () => [whole],
    allocate: 'measured',
    objective: { kind: 'outputs', asymmetric: true },
  }),
  ...pruneRecipes,
  aqlm,
  ...trainedRecipes,
]
