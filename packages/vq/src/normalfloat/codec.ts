import type { GivenOf } from '@reallm/tensor-io'
import {
  decodeCoded,
  groupCols,
  normalfloatLayout,
  normalfloatLevels,
  readNormalfloat,
} from '@reallm/tensor-io/layouts'
import { columnCodec } from '../shared/column-codec.ts'
import { scalarBands, scalarEncoder } from '../shared/scalar.ts'

/** Parameters of the codec `normalfloat`. */
export type NormalfloatParams = GivenOf<typeof normalfloatLayout>

/**
 * NormalFloat (QLoRA, arXiv 2305.14314 §3; LQ-LoRA, 2311.12023 §2.1): levels at the quantiles of a normal
 * distribution with an exact zero, scaled by the group's largest weight; scales are quantised again.
 *
 * @example
 * const stored = await normalfloat.encode(w, { bits: 4 }, { seed: 1 })
 */
export const normalfloat = columnCodec({
  layout: normalfloatLayout,
  async columns(w, params, ctx) {
    const options = {
      ...params,
      levels: normalfloatLevels(params.bits),
      group: groupCols([w.rows, w.cols], params.group),
      zeroPoint: false,
    }
    return scalarEncoder({ codec: 'normalfloat', params }, w, options, ctx)
  },
  decodeRows: (e, from, to) => decodeCoded(readNormalfloat(e, from, to)),
  bands: scalarBands,
})
