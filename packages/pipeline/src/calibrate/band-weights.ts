import { rowsOf } from '@reallm/transformer'
import type { MatrixModule } from '../open/model-parts.ts'
import type { OpenedModel } from '../open/open-model.ts'

/** Share of what is read that no calibration text tells of: all rows have as much of it. */
const otherText = 0.2

/** Neighbouring rows of a band whose norms are looked at. */
const sampledRows = 32

/**
 * What errors in each band of an embedding's or a head's rows cost when all rows lose the same share of their squared norm: how often they
 * are used, times the mean squared norm of some.
 *
 * @param rowUse how often each row is used, summing to 1; absent: all alike
 * @param rows of every band except the last
 */
export async function bandWeights(
  { weights: model }: Pick<OpenedModel, 'weights'>,
  { name, shape: [all] }: MatrixModule,
  rowUse: Float32Array | undefined,
  rows: number,
): Promise<number[]> {
  const source = rowsOf(model, `${name}.weight`)
  const found: number[] = []
  for (let from = 0; from < all; from += rows) {
    const count = Math.min(rows, all - from)
    const some = Math.min(count, sampledRows)
    const first = from + Math.floor((count - some) / 2)
    const squares = (await source.read(first, first + some)).reduce((sum, v) => sum + v * v, 0)
    const used = rowUse?.subarray(from, from + count).reduce((sum, v) => sum + v, 0) ?? count / all
    found.push((squares / some) * ((1 - otherText) * used + (otherText * count) / all))
  }
  return found
}
