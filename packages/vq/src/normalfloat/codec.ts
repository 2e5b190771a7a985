import type { MatrixShape } from '@reallm/tensor-io'
import type { z } from 'zod'
import { columnCodec } from '../shared/column-codec.ts'
import { groupCols } from '../shared/groups.ts'
import { decodeScalar, type ScalarOptions, scalarCost, scalarEncoder } from '../shared/scalar.ts'
import { normalfloatLevels } from './levels.ts'
import { type NormalfloatParams, normalfloatParams } from './params.ts'

type Full = z.output<typeof normalfloatParams>

/**
 * NormalFloat (QLoRA, arXiv 2305.14314 §3; LQ-LoRA, 2311.12023 §2.1): levels at the quantiles of a normal
 * distribution with an exact zero, scaled by the group's largest weight; scales quantised once more.
 *
 * Parts: `codes` U8 `[rows, ⌈cols·bits / 8⌉]`, `scales` `[rows, cols / group]`, `scaleBlocks` F32 `[⌈scales / 256⌉, 2]`.
 *
 * @example
 * const stored = await normalfloat.encode(w, { bits: 4 }, { seed: 1 })
 */
export const normalfloat = columnCodec<NormalfloatParams, Full>({
  name: 'normalfloat',
  params: normalfloatParams,
  cost: (shape, params) => scalarCost(shape, optionsFor(shape, params)),
  async columns(w, params, { hessian }) {
    return scalarEncoder({ codec: 'normalfloat', params }, w, optionsFor([w.rows, w.cols], params), hessian)
  },
  decodeRows: (e, from, to) => decodeScalar(e, optionsFor(e.shape, e.params), from, to),
})

const optionsFor = (shape: MatrixShape, { bits, group, scales, clip }: Full): ScalarOptions => ({
  bits,
  levels: normalfloatLevels(bits),
  group: groupCols(shape, group),
  scales,
  clip,
  zeroPoint: false,
})
