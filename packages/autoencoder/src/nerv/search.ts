import {
  bitsOf,
  type EncodeContext,
  type EncodedMatrix,
  type Matrix,
  type MatrixShape,
  ReallmError,
  shapeText,
} from '@reallm/tensor-io'
import { autoencoder } from './codec.ts'
import { MOST_BITS } from './latents.ts'
import { type NervInput, type NervParams, nervParams } from './params.ts'

/** Latent channels that are tried, times stages, times decoder widths: a large embedding with a small decoder and the reverse. */
const WIDTHS = [2, 4, 8, 16, 32]
const STAGES = [1, 2, 3]
const DECODERS = [3, 6]

/**
 * Shapes of about equal size: for every number of stages, latent width and decoder width the bits of a latent that
 * bring a matrix to `bits` per weight, everything stored counted; those that do not fit are left out.
 *
 * @param given settings that all of them share
 */
export function shapesAt(shape: MatrixShape, bits: number, given: NervInput = {}): NervParams[] {
  const [rows, cols] = shape
  const target = bits * rows * cols
  return STAGES.flatMap(stages =>
    WIDTHS.flatMap(latentWidth =>
      DECODERS.flatMap(decoderWidth => {
        const at = (total: number) =>
          nervParams.parse({
            ...given,
            stages,
            latentWidth,
            decoderWidth,
            latentBits: total / latentWidth,
          })
        const [one, two] = [1, 2].map(total => bitsOf(autoencoder.cost(shape, at(total))))
        const total = 1 + Math.floor((target - one) / (two - one))
        const fits = total >= 1 && total <= MOST_BITS * latentWidth && latentWidth <= 4 ** stages
        return fits ? [at(total)] : []
      }),
    ),
  )
}

export interface SearchResult {
  readonly encoded: EncodedMatrix
  readonly params: NervParams
  /** Squared error relative to the matrix's energy. */
  readonly error: number
  /** Trials of each round: how long they trained, and how many there were. */
  readonly rounds: readonly { readonly steps: number; readonly trials: number }[]
}

/**
 * The best shape of about `bits` per weight for a matrix, by successive halving: all shapes untrained (principal
 * components alone), the best four a quarter of the steps, the best of those all of them. Never worse than untrained.
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
  const { steps } = nervParams.parse(given)
  let shapes = shapesAt(shape, bits, given)
  if (shapes.length === 0) {
    throw new ReallmError('bad-option', `${shapeText(shape)}: no autoencoder fits ${bits} bits per weight`, {
      hint: 'its decoder alone takes more: allow more bits, or share it between matrices',
    })
  }
  const rounds: SearchResult['rounds'][number][] = []
  let best: Omit<SearchResult, 'rounds'> | undefined
  for (const [round, share] of [0, 0.25, 1].entries()) {
    const found: Omit<SearchResult, 'rounds'>[] = []
    // untrained, decoders of any width do nothing
    const trials = round === 0 ? shapes.filter(s => s.decoderWidth === DECODERS[0]) : shapes
    for (const each of trials) {
      const params = { ...each, steps: Math.round(share * steps) }
      const encoded = await autoencoder.encode(w, params, ctx)
      found.push({
        encoded: encoded as EncodedMatrix,
        params,
        error: errorOf(w, autoencoder.decode(encoded)),
      })
    }
    found.sort((a, b) => a.error - b.error)
    rounds.push({ steps: Math.round(share * steps), trials: found.length })
    if (!best || found[0].error < best.error) best = found[0]
    const kept = found.slice(0, round === 0 ? 2 : 1)
    shapes = shapes.filter(s =>
      kept.some(
        k =>
          k.params.stages === s.stages &&
          k.params.latentWidth === s.latentWidth &&
          (round === 0 || k.params.decoderWidth === s.decoderWidth),
      ),
    )
  }
  return { ...best!, rounds }
}

function errorOf(w: Matrix, decoded: Matrix): number {
  let [error, energy] = [0, 1e-30]
  for (let i = 0; i < w.data.length; i++) {
    error += (w.data[i] - decoded.data[i]) ** 2
    energy += w.data[i] ** 2
  }
  return error / energy
}
