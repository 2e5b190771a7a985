import {
  autoencoder,
  autoencoderWith,
  fitDecoder,
  type SharedDecoder,
  sharedParts,
} from '@reallm/autoencoder'
import { plusLowRank } from '@reallm/lowrank'
import { ReallmError } from '@reallm/tensor-io'
import {
  e8,
  fitShared,
  grid,
  kmeans,
  normalfloat,
  rotate,
  rotated,
  type ScalingOptions,
  scaled,
  trellis,
  trellisWith,
  withFeedback,
} from '@reallm/vq'
import { type Choice, choice, type Effort, type MatrixModule, type Recipe, recipe } from './recipe.ts'
import { relatives } from './related/related.ts'

/** Feedback behind a rotation of both sides: entries become Gaussian, and one code fits all. */
const turned = rotated(withFeedback(trellis))
const turnedScaled = scaled(turned)
/** Only the columns are turned, so that rows can still be read one by one. */
const turnedColumns = rotated(withFeedback(trellis), { output: false })
const turnedE8 = rotated(withFeedback(e8))

/** Bits of a trellis state: the longer the search, the nearer to the rate-distortion limit. */
const stateBits: Record<Effort, number> = { fast: 8, normal: 10, best: 14 }

/**
 * Shares of the error under both moments that equal norms take away, before their bits: means of SmolLM2-135M's blocks 5, 15
 * and 26 at 3 bits; the gate's was not measured and is taken for the up projection's.
 */
const gainOfScales: Partial<
  Record<MatrixModule['kind'], { readonly rows?: number; readonly cols?: number }>
> = {
  q_proj: { rows: 0.2 },
  k_proj: { rows: 0.13 },
  v_proj: { cols: 0.1 },
  o_proj: { rows: 0.04, cols: 0.06 },
  gate_proj: { rows: 0.03 },
  up_proj: { rows: 0.03 },
  down_proj: { rows: 0.02 },
}

/**
 * The sides of a matrix that gain more by scales of 8 bits than the same bits would bring as codes. Rows gain by the moment
 * at the outputs, which fast effort does not gather.
 */
function scaledSides({ kind, shape: [rows, cols] }: MatrixModule, effort: Effort): Required<ScalingOptions> {
  const gain = gainOfScales[kind]
  const lost = (across: number) => (8 / across) * Math.log(4)
  return { rows: effort !== 'fast' && (gain?.rows ?? 0) > lost(cols), cols: (gain?.cols ?? 0) > lost(rows) }
}

const rates = (from: number, to: number, step: number): number[] =>
  Array.from({ length: Math.round((to - from) / step) + 1 }, (_, i) => from + i * step)

const trellisRates =
  (bits: readonly number[]) =>
  (_: MatrixModule, effort: Effort): Choice[] =>
    bits.map(rate => {
      const inner = { bits: rate, stateBits: stateBits[effort] }
      return choice(`trellis ${rate} bits, L=${inner.stateBits}`, turned, { inner }, 'trellis')
    })

const scaledTrellis =
  (bits: readonly number[]) =>
  (module: MatrixModule, effort: Effort): Choice[] => {
    const sides = scaledSides(module, effort)
    return bits.map(rate => {
      const inner = { bits: rate, stateBits: stateBits[effort] }
      const params = { ...sides, inner: { inner } }
      const label = `trellis ${rate} bits, L=${inner.stateBits}`
      return sides.rows || sides.cols
        ? choice(`${label}, scaled`, turnedScaled, params, 'trellis')
        : choice(label, turned, { inner }, 'trellis')
    })
  }

/** A network on the state's bits in the table's place: one for all matrices of a kind, so that it costs next to nothing. */
const neuralTrellis = (_: MatrixModule, effort: Effort): Choice[] =>
  rates(1, 4, 0.5).map(rate => {
    const inner = { bits: rate, stateBits: stateBits[effort], values: 'network' as const }
    const label = `neural trellis ${rate} bits, L=${inner.stateBits}`
    const at = (codec: typeof trellis) =>
      choice(label, rotated(withFeedback(codec)), { inner }, 'neural trellis')
    return {
      ...at(trellis),
      shared: {
        includes: part => /^inner\.network\d/.test(part),
        fit: (group, ctx) =>
          fitShared(
            group.map(w => rotate(w, ctx.seed, { input: true, output: true })),
            inner,
            ctx,
          ),
        with: fitted => at(trellisWith(fitted)),
      },
    }
  })

/** Tokens that are never used have the largest rows: a scale for each keeps them from setting everybody's. */
const trellisEmbedding =
  (bits: readonly number[]) =>
  (_: MatrixModule, effort: Effort): Choice[] => [
    ...(['matrix', 'row'] as const).flatMap(scale =>
      bits.map(rate => {
        const inner = { bits: rate, stateBits: stateBits[effort], scale }
        const label = `trellis ${rate} bits, L=${inner.stateBits}${scale === 'row' ? ', a scale per row' : ''}`
        return choice(label, turnedColumns, { inner }, `trellis by ${scale}`)
      }),
    ),
    ...[5, 6].map(bits => choice(`grid ${bits} bits`, withFeedback(grid), { bits, group: 'row' }, 'grid')),
  ]

const gridRates =
  (codec: typeof grid | ReturnType<typeof withFeedback<Parameters<typeof grid.cost>[1]>>) => (): Choice[] =>
    rates(1, 8, 1).flatMap(bits => [
      choice(`grid ${bits} bits`, codec, { bits, group: 'auto' }, 'grid'),
      choice(`grid ${bits} bits, a scale per row`, codec, { bits, group: 'row' }, 'row grid'),
    ])

/** From 2 bits: what rounding to 1 does to a model is far from what small changes predict. */
const normalfloatRates = (): Choice[] => [
  ...rates(2, 4, 1).flatMap(bits => [
    choice(`normalfloat ${bits} bits`, normalfloat, { bits, group: 'auto' }, 'normalfloat'),
    choice(
      `normalfloat ${bits} bits, a scale per row`,
      normalfloat,
      { bits, group: 'row' },
      'row normalfloat',
    ),
  ]),
  choice('grid 8 bits', grid, { bits: 8, group: 'auto' }),
]

const vectors = withFeedback(kmeans)
const vectorRates = (): Choice[] => [
  ...rates(1, 4, 0.5).map(bits =>
    choice(`vectors of 2, ${bits} bits`, vectors, { bits, dim: 2 }, 'vectors of 2'),
  ),
  ...rates(1, 2, 0.25).map(bits =>
    choice(`vectors of 4, ${bits} bits`, vectors, { bits, dim: 4 }, 'vectors of 4'),
  ),
  choice('grid 8 bits', grid, { bits: 8, group: 'auto' }),
]

/** Rank against its cost: 3 where 192 is the width, 64 where 4096 is. */
const rankFor = ({ shape }: MatrixModule): number =>
  Math.max(1, Math.min(64, Math.round(Math.min(...shape) / 64)))

function lqLora(module: MatrixModule): Choice[] {
  const rank = rankFor(module)
  const codec = plusLowRank({ rank, bits: 8, weighting: 'diagonal', starts: 'each' }, normalfloat)
  const withRank = rates(2, 4, 1).map(bits =>
    choice(`normalfloat ${bits} bits + rank ${rank}`, codec, { inner: { bits, group: 'auto' } }, 'with rank'),
  )
  return [choice('grid 1 bit', grid, { bits: 1, group: 'auto' }), ...normalfloatRates(), ...withRank]
}

/** The paper's path without a network: vectors over neighbours in permuted columns, NormalFloat-like scales, L₁L₂. */
function vectorsWithRank(module: MatrixModule): Choice[] {
  const rank = rankFor(module)
  const codec = plusLowRank({ rank, bits: 8, rounds: 5 }, vectors)
  const inner = (bits: number, permute: boolean) => ({ bits, dim: 2 as const, permute })
  return [
    ...vectorRates(),
    ...rates(1.5, 4, 0.5).map(bits =>
      choice(`vectors of 2, ${bits} bits + rank ${rank}`, codec, { inner: inner(bits, false) }, 'with rank'),
    ),
    ...rates(2, 4, 1).map(bits =>
      choice(`permuted vectors of 2, ${bits} bits`, kmeans, inner(bits, true), 'permuted'),
    ),
  ]
}

const trainingSteps: Record<Effort, number> = { fast: 20, normal: 150, best: 600 }

/** Large embeddings with a small decoder to small ones with a larger decoder, each at several rates. */
const decoderShapes = [
  { stages: 1, latentWidth: 4, decoderWidth: 2, latentBits: [1, 2, 3] },
  { stages: 2, latentWidth: 16, decoderWidth: 3, latentBits: [1, 2, 3] },
  { stages: 3, latentWidth: 16, decoderWidth: 6, latentBits: [2, 4] },
] as const

/** Networks of which one decodes all matrices of a kind: its weights cost next to nothing. */
const sharedNetworks = (effort: Effort): Choice[] =>
  decoderShapes.flatMap(({ latentBits: rates, ...shape }) =>
    rates.map(latentBits => {
      const label = `shared autoencoder, ${shape.stages} stages, ${shape.latentWidth} latents of ${latentBits} bits`
      const trained = (steps: number): Choice => {
        const inner = { ...shape, latentBits, patch: 32 as const, weighted: true, steps }
        const at = (codec: typeof autoencoder) =>
          choice(label, codec, inner, `shared autoencoder of ${shape.stages} stages`)
        return {
          ...at(autoencoder),
          shared: {
            includes: part => sharedParts.some(name => name === part),
            fit: (group, ctx) => fitDecoder(group, inner, ctx),
            with: fitted => at(autoencoderWith(fitted as SharedDecoder)),
          },
        }
      }
      const steps = trainingSteps[effort]
      return { ...trained(steps), trials: [trained(0), trained(Math.ceil(steps / 4))] }
    }),
  )

/** All of the paper: a low-rank part beside vectors or a network, whichever a matrix loses less by. */
function paper(module: MatrixModule, effort: Effort): Choice[] {
  const rank = rankFor(module)
  const codec = plusLowRank({ rank, bits: 8, rounds: 1 }, autoencoder)
  const networks = decoderShapes.flatMap(({ latentBits: rates, ...shape }) =>
    rates.map(latentBits => {
      const label = `autoencoder, ${shape.stages} stages, ${shape.latentWidth} latents of ${latentBits} bits + rank ${rank}`
      const trained = (steps: number) => {
        const inner = { ...shape, latentBits, patch: 32 as const, weighted: true, steps }
        return choice(label, codec, { inner }, `autoencoder of ${shape.stages} stages`)
      }
      const steps = trainingSteps[effort]
      return { ...trained(steps), trials: [trained(0), trained(Math.ceil(steps / 4))] }
    }),
  )
  return [...vectorsWithRank(module), ...networks, ...sharedNetworks(effort)]
}

/** Every built-in recipe, the default one first. */
export const recipes: readonly Recipe[] = [
  recipe('reallm', {
    what: 'the best mix: rotated trellis codes with two-sided feedback behind the quantised prefix, rates by search',
    source: 'ReALLM arXiv 2405.13155, QTIP 2406.11235, YAQA 2505.22988',
    calibrated: true,
    feedback: true,
    asymmetric: true,
    twoSided: true,
    block: scaledTrellis(rates(1, 6, 0.25)),
    embedding: trellisEmbedding(rates(1, 6, 0.25)),
  }),
  recipe('trellis', {
    what: 'trellis codes behind rotations, with one-sided feedback',
    source: 'QTIP arXiv 2406.11235',
    calibrated: true,
    feedback: true,
    block: trellisRates(rates(1, 4, 1)),
    embedding: trellisEmbedding(rates(1, 4, 1)),
  }),
  recipe('neural-trellis', {
    what: 'trellis codes whose values come from a small network, one for all matrices of a kind, with two-sided feedback',
    source: 'ReALLM arXiv 2405.13155, QTIP 2406.11235',
    calibrated: true,
    feedback: true,
    asymmetric: true,
    twoSided: true,
    block: neuralTrellis,
    embedding: trellisEmbedding(rates(1, 4, 0.5)),
  }),
  recipe('reallm-vq', {
    what: 'vector quantisation beside a low-rank part, by alternation; a network nowhere',
    source: 'ReALLM arXiv 2405.13155',
    calibrated: true,
    feedback: true,
    block: vectorsWithRank,
    embedding: vectorRates,
  }),
  recipe('reallm-paper', {
    what: 'the paper: a low-rank part beside vectors or a neural decoder over few-bit latents, chosen for each matrix',
    source: 'ReALLM arXiv 2405.13155, HNeRV 2304.02633',
    calibrated: true,
    feedback: true,
    block: paper,
    embedding: vectorRates,
  }),
  recipe('e8', {
    what: 'the E8 lattice behind rotations, with feedback',
    source: 'QuIP# arXiv 2402.04396',
    calibrated: true,
    feedback: true,
    block: () => [
      ...[2, 3, 4].map(bits =>
        choice(`E8 ${bits} bits`, turnedE8, { inner: { bits: bits as 2 | 3 | 4 } }, 'e8'),
      ),
      ...vectorRates(),
    ],
    embedding: gridRates(withFeedback(grid)),
  }),
  recipe('vq', {
    what: 'k-means codebooks of 2 or 4 weights, with feedback',
    source: 'GPTVQ arXiv 2402.15319',
    calibrated: true,
    feedback: true,
    block: vectorRates,
    embedding: vectorRates,
  }),
  recipe('gptq', {
    what: 'uniform grid with feedback rounding',
    source: 'GPTQ arXiv 2210.17323',
    calibrated: true,
    feedback: true,
    block: gridRates(withFeedback(grid)),
    embedding: gridRates(withFeedback(grid)),
  }),
  recipe('lq-lora', {
    what: 'NormalFloat beside a low-rank part, by alternation; one configuration for each matrix by knapsack',
    source: 'LQ-LoRA arXiv 2311.12023',
    calibrated: true,
    fisher: true,
    block: lqLora,
    embedding: normalfloatRates,
  }),
  recipe('nf', {
    what: 'NormalFloat with double-quantised scales',
    source: 'QLoRA arXiv 2305.14314',
    surveyed: true,
    block: normalfloatRates,
    embedding: normalfloatRates,
  }),
  recipe('rtn', {
    what: 'uniform grid, rounded to nearest: the baseline',
    source: 'folklore',
    surveyed: true,
    block: gridRates(grid),
    embedding: gridRates(grid),
  }),
  ...relatives,
]

/** A recipe by name; throws `bad-option` listing the known ones. */
export function builtInRecipe(name: string): Recipe {
  const found = recipes.find(r => r.name === name)
  if (found) return found
  throw new ReallmError('bad-option', `unknown recipe ${name}`, {
    hint: `known: ${recipes.map(r => r.name).join(', ')}`,
  })
}
