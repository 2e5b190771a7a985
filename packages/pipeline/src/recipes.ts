import { createRegistry, ReallmError, type Registry } from '@reallm/tensor-io'
import { grid, normalfloat, trellis } from '@reallm/vq'
import { type Choice, choice, type Effort, type MatrixModule, type Recipe, recipe } from './recipe.ts'
import { plusLowRank, rotated, withFeedback, wrappers } from './wrappers/index.ts'

/** Every codec that artifacts may hold. */
const codecs = [grid, normalfloat, trellis]

/** A registry of every built-in codec and wrapper: reads every artifact of this package. */
export const builtInRegistry = (): Registry => createRegistry(codecs, wrappers)

/** Feedback under a rotation of both sides: entries become Gaussian, and one code fits all. */
const turned = rotated(withFeedback(trellis))
/** Only the columns are turned, so that rows can still be read one by one. */
const turnedColumns = rotated(withFeedback(trellis), { output: false })

/** Bits of a trellis state: the longer the search, the nearer to the rate-distortion limit. */
const stateBits: Record<Effort, number> = { fast: 10, normal: 10, best: 12 }

const rates = (from: number, to: number, step: number): number[] =>
  Array.from({ length: Math.round((to - from) / step) + 1 }, (_, i) => from + i * step)

function trellisChoices(codec: typeof turned, bits: readonly number[], effort: Effort): Choice[] {
  const inner = (rate: number) => ({ bits: rate, stateBits: stateBits[effort] })
  return bits.map(rate =>
    choice(`trellis ${rate} bits, L=${stateBits[effort]}`, codec, { inner: inner(rate) }),
  )
}

/** Embeddings and heads on scalar grids: a row is one token. */
const gridEmbedding = (bits: readonly number[]) => (): Choice[] =>
  bits.flatMap(b => [
    choice(`grid ${b} bits`, withFeedback(grid), { bits: b, group: 'auto' }, 'grid'),
    choice(`grid ${b} bits, a scale per row`, withFeedback(grid), { bits: b, group: 'row' }, 'row grid'),
  ])

const plainGrid = (): Choice[] =>
  rates(1, 8, 1).flatMap(bits => [
    choice(`grid ${bits} bits`, grid, { bits, group: 'auto' as const }),
    choice(`grid ${bits} bits, a scale per row`, grid, { bits, group: 'row' as const }),
  ])

/** Every built-in recipe, the default one first. */
export const recipes: readonly Recipe[] = [
  recipe('reallm', {
    what: 'the best mix: rotated trellis codes with feedback behind the quantised prefix, rates by matrix',
    source: 'arXiv 2405.13155; QTIP arXiv 2406.11235; GPTQ arXiv 2210.17323',
    calibrated: true,
    asymmetric: true,
    block: (_, effort) => trellisChoices(turned, rates(1, 4, 0.25), effort),
    embedding: (_, effort) => trellisChoices(turnedColumns, rates(1.5, 4, 0.25), effort),
  }),
  recipe('trellis', {
    what: 'trellis codes behind rotations, with feedback',
    source: 'QTIP, arXiv 2406.11235',
    calibrated: true,
    block: (_, effort) => trellisChoices(turned, rates(1, 4, 1), effort),
    embedding: (_, effort) => trellisChoices(turnedColumns, rates(2, 4, 1), effort),
  }),
  recipe('gptq', {
    what: 'uniform grid with feedback rounding',
    source: 'GPTQ, arXiv 2210.17323',
    calibrated: true,
    block: () => gridEmbedding(rates(1, 8, 1))(),
    embedding: gridEmbedding(rates(1, 8, 1)),
  }),
  recipe('rtn', {
    what: 'uniform grid, rounded to nearest: the baseline',
    source: 'folklore',
    block: plainGrid,
    embedding: plainGrid,
  }),
  recipe('nf', {
    what: 'NormalFloat with double-quantised scales; grids below 2 bits',
    source: 'QLoRA, arXiv 2305.14314',
    block: () => normalfloatChoices(),
    embedding: () => normalfloatChoices(),
  }),
  recipe('lq-lora', {
    what: 'NormalFloat plus a low-rank part, found by alternation; rates by knapsack',
    source: 'LQ-LoRA, arXiv 2311.12023',
    calibrated: true,
    block: module => lowRankChoices(module),
    embedding: () => normalfloatChoices(),
  }),
]

function normalfloatChoices(): Choice[] {
  return [
    choice('grid 1 bit', grid, { bits: 1, group: 'auto' }),
    ...rates(2, 4, 1).flatMap(bits => [
      choice(`normalfloat ${bits} bits`, normalfloat, { bits, group: 'auto' }),
      choice(`normalfloat ${bits} bits, a scale per row`, normalfloat, { bits, group: 'row' }),
    ]),
    choice('grid 8 bits', grid, { bits: 8, group: 'auto' }),
  ]
}

/** Rank against its cost: 8 on small matrices, 64 where 4096 is the width. */
function lowRankChoices({ shape }: MatrixModule): Choice[] {
  const rank = Math.max(1, Math.min(64, Math.round(Math.min(...shape) / 64)))
  return [
    ...normalfloatChoices(),
    ...rates(2, 4, 1).map(bits =>
      choice(
        `normalfloat ${bits} bits + rank ${rank}`,
        plusLowRank({ rank, bits: 8, weighting: 'diagonal' }, normalfloat),
        { inner: { bits, group: 'auto' } },
      ),
    ),
  ]
}

/** A recipe by name; throws `bad-option` listing the known ones. */
export function builtInRecipe(name: string): Recipe {
  const found = recipes.find(r => r.name === name)
  if (found) return found
  throw new ReallmError('bad-option', `unknown recipe ${name}`, {
    hint: `known: ${recipes.map(r => r.name).join(', ')}`,
  })
}
