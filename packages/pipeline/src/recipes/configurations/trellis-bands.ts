import type { MatrixShape } from '@reallm/tensor-io'
import { BAND_ROWS, mostTrellisBits } from '@reallm/tensor-io/layouts'
import { bandBits, rotated, trellisBands, withFeedback } from '@reallm/vq'
import type { MatrixModule } from '../../open/model-parts.ts'
import { type BandRates, type Configuration, configuration } from '../configuration.ts'

/** Only the columns are rotated, so that rows can still be read one by one. */
const columnsRotated = rotated(withFeedback(trellisBands), { output: false })

/** About so many bands have rates of their own: tokenizers number tokens roughly by how often they are used. */
const bandsOfVocabulary = 32
/** Weights of a band at most. */
const mostWeights = 2 ** 22

/** Rotated trellis codes at a mean rate, bands of rows having rates by their use. */
export function trellisByUse(
  { shape }: Pick<MatrixModule, 'shape'>,
  bits: number,
  stateBits: number,
): Configuration {
  const rows = bandRows(shape)
  const evenly = (count: number) => ({ rows, bits: Array<number>(Math.ceil(count / rows)).fill(bits) })
  const at = (rates: BandRates): Configuration => ({
    ...configuration({
      id: `trellis-${bits}b-L${stateBits}-use`,
      label: `trellis ${bits} bits by use of rows, L=${stateBits}`,
      family: 'trellis by use',
      codec: columnsRotated,
      params: { inner: { ...rates, stateBits } },
    }),
    byUse: {
      rows,
      evenFamily: 'trellis by row',
      split: weights => ({
        rows,
        bits: bandBits(shape, rows, bits, mostTrellisBits({ stateBits }), weights),
      }),
      with: at,
      forSome: count => at(evenly(count)),
    },
  })
  return at(evenly(shape[0]))
}

function bandRows([rows, cols]: MatrixShape): number {
  const count = Math.max(bandsOfVocabulary, (rows * cols) / mostWeights)
  return BAND_ROWS * Math.ceil(rows / count / BAND_ROWS)
}
