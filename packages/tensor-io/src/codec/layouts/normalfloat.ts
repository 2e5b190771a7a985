import type { Fields } from '../field.ts'
import type { Stored, StoredLayout } from '../layout.ts'
import type { CodedRows } from './coded-rows.ts'
import { groupSize } from './groups.ts'
import { normalfloatLevels } from './normalfloat-levels.ts'
import { readScalar, scalarParts } from './scalar.ts'
import { scaleFormat } from './scales.ts'

const params = {
  /** NF2, NF3 or NF4. */
  bits: { whole: [2, 4] },
  /** Weights of a row that share a scale. */
  group: { like: groupSize, default: 'auto' },
  /** `absmax` as in QLoRA, or the scale with the least squared error (weighted by diag H). */
  clip: { of: ['absmax', 'mse'], default: 'absmax' },
  /** Double quantisation by default. */
  scales: { like: scaleFormat, default: 'double' },
} as const satisfies Fields

/**
 * NormalFloat: `Ŵ = scale · level[code]`, 2^bits levels at the quantiles of a normal distribution.
 *
 * Parts: `codes` U8 `[rows, ⌈cols·bits / 8⌉]`, `scales` `[rows, cols / group]`, for `double` ones `scaleBlocks`.
 */
export const normalfloatLayout: StoredLayout<typeof params> = {
  codec: 'normalfloat',
  params,
  parts: (shape, params) => scalarParts(shape, params),
}

/** Rows `from` to `to` (exclusive). */
export const readNormalfloat = (e: Stored<typeof normalfloatLayout>, from = 0, to = e.shape[0]): CodedRows =>
  readScalar(e, normalfloatLevels(e.params.bits), from, to)
