import {
  bitsOf,
  type EncodeContext,
  type EncodedMatrix,
  type Matrix,
  type MatrixShape,
  parseParams,
  ReallmError,
  shapeText,
} from '@reallm/tensor-io'
import { autoencoderLayout, MOST_LATENT_BITS } from '@reallm/tensor-io/layouts'
import { autoencoder, type NervInput, type NervParams } from './codec.ts'

/** Shapes that are tried: every latent width with every number of stages and every decoder width. */
const WIDTHS = [2, 4, 8, 16, 32]
const STAGES = [1, 2, 3]
const DECODERS = [3, 6]
/** Variants of the best shapes that are tried next. */
const VARIANTS: readonly NervInput[] = [
  { scaling: 'matrix' },
  { weightBits: 12 },
  { scaling: 'matrix', weightBits: 12 },
]

/**
 * Shapes of about equal size: for every number of stages, latent width and decoder width the `latentBits` with which a
 * matrix takes `bits` per weight, everything stored counted. Shapes that do not fit are left out.
 *
 * @param given settings that all of them share
 */
export const shapesAt = (shape: MatrixShape, bits: number, given: NervInput = {}): NervParams[] =>
  STAGES.flatMap(stages =>
    WIDTHS.flatMap(latentWidth =>
      DECODERS.flatMap(decoderWidth => atRate(shape, bits, { ...given, stages, latentWidth, decoderWidth })),
    ),
  )

/** The settings with the `latentBits` that make a matrix take `bits` per weight, or none. */
function atRate(shape: MatrixShape, bits: number, given: NervInput): NervParams[] {
  const { stages, latentWidth } = parseParams(autoencoderLayout, given)
  const at = (total: number) => parseParams(autoencoderLayout, { ...given, latentBits: total / latentWidth })
  const [one, two] = [1, 2].map(total => bitsOf(autoencoder.cost(shape, at(total))))
  const total = 1 + Math.floor((bits * shape[0] * shape[1] - one) / (two - one))
  const fits = total >= 1 && total <= MOST_LATENT_BITS * latentWidth && latentWidth <= 4 ** stages
  return fits ? [at(total)] : []
}

/** The settings that a search chose, and what they cost and lose. */
export interface SearchResult {
  readonly encoded: EncodedMatrix
  readonly params: NervParams
  /** Squared error relative to the matrix's energy. */
  readonly error: number
  /** Training steps and number of trials of each round. */
  readonly rounds: readonly { readonly steps: number; readonly trials: number }[]
}

/**
 * The best shape of about `bits` per weight for a matrix, by successive halving: all shapes untrained (principal components
 * only); variants of the four best; the two best so far with decoders of every width and a quarter of the steps; the best of
 * those with all steps. The result is never worse than the best untrained one.
 *
 * @throws `bad-option` when no decoder is small enough
 * @example
 * const { encoded, params, error } = await searchShape(w, 0.5, { patch: 64, steps: 200 }, { seed: 1 })
 */
export async function searchShape(
  w: Matrix,
  bits: number,
  given: NervInput,
  ctx: EncodeContext,
): Promise<SearchResult> {
  const shape = [w.rows, w.cols] as const
  const { steps } = parseParams(autoencoderLayout, given)
  // An untrained decoder adds nothing, whatever its width.
  const shapes = shapesAt(shape, bits, given).filter(s => s.decoderWidth === DECODERS[0])
  if (shapes.length === 0) {
    throw new ReallmError('bad-option', `${shapeText(shape)}: no autoencoder fits ${bits} bits per weight`, {
      hint: 'its decoder alone takes more: allow more bits, or share it between matrices',
    })
  }
  type Trial = Omit<SearchResult, 'rounds'>
  const rounds: SearchResult['rounds'][number][] = []
  const ranked = (trials: readonly Trial[]) => [...trials].sort((a, b) => a.error - b.error)
  const round = async (all: readonly NervParams[], steps: number): Promise<Trial[]> => {
    const found: Trial[] = []
    for (const each of all) {
      const params = { ...each, steps }
      const encoded = await autoencoder.encode(w, params, ctx)
      const error = errorOf(w, autoencoder.decode(encoded))
      found.push({ encoded: encoded as EncodedMatrix, params, error })
    }
    rounds.push({ steps, trials: found.length })
    return ranked(found)
  }
  const first = await round(shapes, 0)
  const variants = first
    .slice(0, 4)
    .flatMap(({ params }) =>
      VARIANTS.flatMap(variant => atRate(shape, bits, { ...params, ...variant, ...given })),
    )
  const untrained = ranked([...first, ...(await round(variants, 0))])
  if (steps === 0) return { ...untrained[0], rounds }
  const wider = untrained
    .slice(0, 2)
    .flatMap(({ params }) =>
      DECODERS.flatMap(decoderWidth => atRate(shape, bits, { ...params, decoderWidth })),
    )
  const begun = await round(wider, Math.round(0.25 * steps))
  const whole = await round(
    begun.slice(0, 1).map(t => t.params),
    steps,
  )
  return { ...ranked([...untrained, ...begun, ...whole])[0], rounds }
}

function errorOf(w: Matrix, decoded: Matrix): number {
  let [error, energy] = [0, 1e-30]
  for (let i = 0; i < w.data.length; i++) {
    error += (w.data[i] - decoded.data[i]) ** 2
    energy += w.data[i] ** 2
  }
  return error / energy
}
