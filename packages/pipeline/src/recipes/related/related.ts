import { lplrCodec, lr2vq, monarchCodec, plusLowRank, romCodec, ternaryCodec } from '@reallm/lowrank'
import { grid, rotated, withFeedback } from '@reallm/vq'
import { type Choice, choice, type Effort, type MatrixModule, type Recipe, recipe } from '../recipe.ts'
import { aqlm } from './aqlm.ts'
import { gridRows } from './grid-rows.ts'
import { pruneRecipes } from './prune.ts'
import { trainedRecipes } from './trained.ts'

/** Rank at which `factors` of a matrix take about `rate` bits per weight, each entry `bits`. */
const rankAt = ({ shape: [rows, cols] }: MatrixModule, rate: number, bits: number): number =>
  Math.max(1, Math.min(rows, cols, Math.floor((rate * rows * cols) / (bits * (rows + cols)))))

/** A structure that all rows are part of: a sample of them would tell nothing of its error. */
const joint = (choice: Choice): Choice => ({ ...choice, joint: true })

const fedGrid = rotated(withFeedback(grid))
const gridBits = { fast: [1, 2, 3, 4], normal: [1, 2, 3, 4], best: [1, 2, 3, 4] } satisfies Record<
  Effort,
  number[]
>

function caldera(module: MatrixModule, effort: Effort): Choice[] {
  const rounds = { fast: 1, normal: 3, best: 15 }[effort]
  const shares = effort === 'fast' ? [0.2] : [0.1, 0.25]
  return shares.flatMap(share => {
    const codec = plusLowRank({ rank: rankAt(module, share, 4), bits: 4, rounds, starts: 'each' }, fedGrid)
    return gridBits[effort].map(bits =>
      choice(
        `grid ${bits} bits + ${share} bits of low rank`,
        codec,
        { inner: { inner: { bits, group: 'row' } } },
        `low rank ${share}`,
      ),
    )
  })
}

const RATES = [1, 1.5, 2, 2.5, 3, 4, 6, 8]

const lplrRates =
  (sketch: 'gaussian' | 'svd') =>
  (module: MatrixModule): Choice[] =>
    RATES.map(rate => {
      const bits = rate < 4 ? 4 : 8
      const rank = rankAt(module, rate, bits)
      const params = { rank, leftBits: bits, rightBits: bits, sketch }
      return joint(choice(`rank ${rank}, ${bits} bits`, lplrCodec, params, `${bits} bits`))
    })

/** More rows of T first; where there are as many as W has, more bits for C. */
const ternaryRates = ({ shape: [rows, cols] }: MatrixModule): Choice[] =>
  RATES.map(rate => {
    const most = Math.min(rows, cols)
    const bits = [4, 8].find(b => (rate * cols) / b <= most) ?? 16
    const rank = Math.max(1, Math.min(most, Math.floor((rate * cols) / bits)))
    return joint(choice(`rank ${rank}, C on ${bits} bits`, ternaryCodec, { rank, bits }, `${bits} bits`))
  })

const monarchRates = (): Choice[] =>
  [1, 2, 4, 8, 12].map(rank =>
    joint(choice(`Monarch of rank ${rank}`, monarchCodec, { rank, bits: 8 }, '8 bits')),
  )

/** On 8 bits each: the budget of parameters is split by what each matrix loses, many are left whole. */
const romShares = (): Choice[] => [
  whole,
  ...[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9].map(share =>
    joint(
      choice(`${Math.round(100 * share)} % of the parameters, 8 bits`, romCodec, { share, bits: 8 }, 'rom'),
    ),
  ),
]
const whole = choice('whole, 8 bits', grid, { bits: 8, group: 'row' })

const projected = rotated(withFeedback(lr2vq))
/** Weights behind a rotation fill all dimensions: projecting them to fewer seldom pays. */
const projectedRates = (_: MatrixModule, effort: Effort): Choice[] =>
  [
    { codeBits: 8, vector: 8, dim: 8 },
    { codeBits: 8, vector: 6, dim: 6 },
    { codeBits: 8, vector: 4, dim: 3 },
    { codeBits: 8, vector: 4, dim: 4 },
    { codeBits: 10, vector: 4, dim: 4 },
    { codeBits: 9, vector: 3, dim: 3 },
    { codeBits: 8, vector: 2, dim: 2 },
  ].map(({ codeBits, vector, dim }) =>
    choice(
      `${codeBits} bits for ${vector} weights, ${dim} dimensions`,
      projected,
      { inner: { codeBits, vector, dim, iterations: { fast: 3, normal: 8, best: 20 }[effort] } },
      dim < vector ? 'fewer dimensions' : 'all dimensions',
    ),
  )

/** Systems of the literature around ReALLM, in its frame. */
export const relatives: readonly Recipe[] = [
  recipe('caldera', {
    what: 'a rotated grid with feedback beside a low-rank part on 4 bits, alternating under H',
    source: 'CALDERA arXiv 2405.18886',
    calibrated: true,
    block: caldera,
    embedding: gridRows,
  }),
  recipe('lplr', {
    what: 'a quantised Gaussian sketch times its quantised least-squares answer',
    source: 'LPLR arXiv 2310.11028',
    calibrated: true,
    block: lplrRates('gaussian'),
    embedding: gridRows,
  }),
  recipe('lplr-svd', {
    what: 'quantised leading singular vectors times their quantised least-squares answer',
    source: 'LPLR arXiv 2310.11028',
    calibrated: true,
    block: lplrRates('svd'),
    embedding: gridRows,
  }),
  recipe('lr2vq', {
    what: 'vectors quantised in a learned low-dimensional space, with feedback',
    source: 'LR²VQ arXiv 2211.11397',
    calibrated: true,
    block: projectedRates,
    embedding: gridRows,
  }),
  recipe('monarch', {
    what: 'the nearest product of two block-diagonal matrices, run as such',
    source: 'Monarch arXiv 2204.00595',
    calibrated: true,
    block: monarchRates,
    embedding: gridRows,
  }),
  recipe('ternary', {
    what: 'a right factor of −1, 0 and 1 from a seed; only the left one is stored',
    source: 'sparse random ternary matrices arXiv 2103.17142',
    calibrated: true,
    block: ternaryRates,
    embedding: gridRows,
  }),
  recipe('llm-rom', {
    what: 'two layers for one, from the principal directions of its outputs',
    source: 'LLM-ROM arXiv 2312.07046',
    calibrated: true,
    asymmetric: true,
    block: romShares,
    embedding: () => [whole],
  }),
  ...pruneRecipes,
  aqlm,
  ...trainedRecipes,
]
