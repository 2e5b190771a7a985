import type { EncodedMatrix, Matrix } from '@reallm/tensor-io'
import type { AllocatedMatrix } from '../allocate/allocate-bits.ts'
import { bandWeights } from '../calibrate/band-weights.ts'
import { statistics } from '../calibrate/statistics.ts'
import type { EncodeResult, RoundingStatistics } from '../encoder/encode-matrix.ts'
import type { BandRates } from '../recipes/configuration.ts'
import type { QuantiseContext } from './quantise-context.ts'
import { jobOf, quantiseMatrix } from './quantise-matrix.ts'

/** Weights that are encoded at a time. */
const weightsAtOnce = 2 ** 22

/**
 * Stores an embedding or a head, of which at most `most` weights are encoded at a time where its configuration allows: in memory are
 * two bands of it and what is stored.
 */
export async function quantiseVocabulary(
  context: QuantiseContext,
  matrix: AllocatedMatrix,
  found: RoundingStatistics,
  most = weightsAtOnce,
): Promise<void> {
  const { module, configuration } = matrix
  const [rows, cols] = module.shape
  const bands = configuration.bands()
  const rates = await ratesOf(context, matrix)
  const each = bands && bands.rows * Math.max(1, Math.floor(most / cols / bands.rows))
  if (!bands || each === undefined || (each >= rows && !rates)) {
    await quantiseMatrix(context, matrix, found)
    return
  }
  const job = await jobOf(context, matrix, found)
  const encoded: EncodedMatrix[] = []
  const errors: Errors[] = []
  let next = readBand(context, matrix, 0, each)
  for (let from = 0; from < rows; from += each) {
    const w = await next
    if (from + each < rows) next = readBand(context, matrix, from + each, each)
    const shape = [w.rows, w.cols] as const
    const own = rates && {
      ...rates,
      bits: rates.bits.slice(from / rates.rows, (from + each) / rates.rows),
    }
    const [{ decoded: _, ...result }] = await context.encoder.encode({
      ...job,
      ...(own && { configurations: [{ id: configuration.id, rates: own }] }),
      ...{ module: { ...module, shape }, w, isBand: true },
    })
    encoded.push(result.encoded)
    errors.push(result)
  }
  await context.matrices.add(matrix, { encoded: bands.join(encoded), ...together(errors) })
}

/** The rates of bands of rows, where the configuration has such. */
async function ratesOf(
  { model, checkpoint }: QuantiseContext,
  { module, configuration: { byUse } }: AllocatedMatrix,
): Promise<BandRates | undefined> {
  if (!byUse) return undefined
  const rowUse = await checkpoint.get(statistics.rowUse)
  return byUse.split(await bandWeights(model, module, rowUse, byUse.rows))
}

type Errors = Omit<EncodeResult, 'encoded' | 'decoded'>

async function readBand(
  { model }: QuantiseContext,
  { module }: AllocatedMatrix,
  from: number,
  each: number,
): Promise<Matrix> {
  const to = Math.min(module.shape[0], from + each)
  const { data } = await model.weights.read(`${module.name}.weight`, [from, to])
  return { rows: to - from, cols: module.shape[1], data }
}

/** Errors of bands as those of the whole. */
function together(bands: readonly Errors[]): Errors {
  const mean = (of: (band: Errors) => number | undefined, norm: 'outputs' | 'weights') => {
    const [lost, all] = [(b: Errors) => (of(b) ?? 0) * b.norms![norm], (b: Errors) => b.norms![norm]].map(
      part => bands.reduce((sum, band) => sum + part(band), 0),
    )
    return lost === 0 ? 0 : lost / all
  }
  const compared = bands.every(band => band.errorWithoutFeedback !== undefined)
  return {
    error: mean(band => band.error, 'outputs'),
    errorWithoutFeedback: compared ? mean(band => band.errorWithoutFeedback, 'outputs') : undefined,
    plainError: mean(band => band.plainError, 'weights'),
    seconds: bands.reduce((sum, { seconds }) => sum + seconds, 0),
  }
}
