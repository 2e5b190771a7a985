import { sizeOf } from '@reallm/tensor-io'
import {
  fitShared,
  rotate,
  rotated,
  type ScalingOptions,
  scaled,
  trellis,
  trellisWith,
  withFeedback,
} from '@reallm/vq'
import type { MatrixModule } from '../../open/model-parts.ts'
import { type Configuration, configuration } from '../configuration.ts'
import type { Effort } from '../recipe.ts'
import { gridWithFeedback } from './scalar.ts'
import { trellisByUse } from './trellis-bands.ts'

/** Both sides are rotated: entries become Gaussian, and one code fits all. */
const rotatedTrellis = rotated(withFeedback(trellis))
const scaledTrellis = scaled(rotatedTrellis)
/** Only the columns are rotated, so that rows can still be read one by one. */
const columnsRotated = rotated(withFeedback(trellis), { output: false })

/** Bits of a trellis state by effort. */
type StateBits = Readonly<Record<Effort, number>>
/** The longer the search, the nearer to the rate-distortion limit. */
const byEffort: StateBits = { fast: 8, normal: 10, best: 14 }
/** Tables of 256 values, which fit a processor's first cache at every rate. */
export const quickDecoding: StateBits = { fast: 8, normal: 8, best: 8 }

/** Rotated trellis codes at the given rates, bits per weight. */
export const trellisAt =
  (rates: readonly number[], stateBits = byEffort) =>
  (_: MatrixModule, effort: Effort): Configuration[] =>
    rates.map(bits => {
      const inner = { bits, stateBits: stateBits[effort] }
      return configuration({ ...named(inner), codec: rotatedTrellis, params: { inner }, family: 'trellis' })
    })

/** The same, with scales of rows or columns where their norms differ enough. */
export const scaledTrellisAt =
  (rates: readonly number[], stateBits = byEffort) =>
  (module: MatrixModule, effort: Effort): Configuration[] => {
    const sides = scaledSides(module, effort)
    if (!sides.rows && !sides.cols) return trellisAt(rates, stateBits)(module, effort)
    return rates.map(bits => {
      const inner = { bits, stateBits: stateBits[effort] }
      const { id, label } = named(inner)
      const params = { ...sides, inner: { inner } }
      return configuration({ id, label: `${label}, scaled`, codec: scaledTrellis, params, family: 'trellis' })
    })
  }

/** A network on the state's bits instead of a table of values: one for all matrices of a kind. */
export const neuralTrellisAt =
  (rates: readonly number[]) =>
  (_: MatrixModule, effort: Effort): Configuration[] =>
    rates.map(bits => {
      const inner = { bits, stateBits: byEffort[effort], values: 'network' as const }
      const { id, label } = named(inner)
      const withCodec = (codec: typeof trellis) => ({
        id: `neural-${id}`,
        label: `neural ${label}`,
        codec: rotated(withFeedback(codec)),
        params: { inner },
        family: 'neural trellis',
      })
      return configuration({
        ...withCodec(trellis),
        shared: {
          includes: part => /^inner\.network\d/.test(part),
          fit: (group, ctx) =>
            fitShared(
              group.map(w => rotate(w, ctx.seed, { input: true, output: true })),
              inner,
              ctx,
            ),
          with: fitted => configuration(withCodec(trellisWith(fitted))),
        },
      })
    })

/** Weights up to which an embedding may have one scale: it is then encoded at once, for which it is in memory several times. */
const mostWithOneScale = 5e7

/**
 * For embeddings, with one scale or one per row: rows of rare tokens are the largest and would set everybody's scale. With one per row,
 * rates may follow the use of rows.
 */
export const embeddingTrellisAt =
  (rates: readonly number[], stateBits = byEffort) =>
  (module: MatrixModule, effort: Effort): Configuration[] => [
    ...(sizeOf(module.shape) <= mostWithOneScale ? (['matrix', 'row'] as const) : (['row'] as const)).flatMap(
      scale =>
        rates.map(bits => {
          const inner = { bits, stateBits: stateBits[effort], scale }
          const { id, label } = named(inner)
          return configuration({
            id: scale === 'row' ? `${id}-row` : id,
            label: scale === 'row' ? `${label}, a scale per row` : label,
            codec: columnsRotated,
            params: { inner },
            family: `trellis by ${scale}`,
          })
        }),
    ),
    ...rates.map(bits => trellisByUse(module, bits, stateBits[effort])),
    ...[5, 6].map(bits => gridWithFeedback(bits, 'row')),
  ]

const named = ({ bits, stateBits }: { readonly bits: number; readonly stateBits: number }) => ({
  id: `trellis-${bits}b-L${stateBits}`,
  label: `trellis ${bits} bits, L=${stateBits}`,
})

/** The sides that get scales. Rows gain by the covariance of the output gradients, which effort `fast` does not gather. */
const scaledSides = ({ uneven }: MatrixModule, effort: Effort): Required<ScalingOptions> => ({
  rows: effort !== 'fast' && uneven?.rows === true,
  cols: uneven?.cols === true,
})
