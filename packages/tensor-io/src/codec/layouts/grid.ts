import type { Fields } from '../field.ts'
import type { Stored, StoredLayout } from '../layout.ts'
import type { CodedRows } from './coded-rows.ts'
import { groupSize } from './groups.ts'
import { readScalar, scalarParts } from './scalar.ts'
import { scaleFormat } from './scales.ts'

const params = {
  /** Bits of a code. */
  bits: { whole: [1, 8] },
  /** Weights of a row that share a scale. */
  group: { like: groupSize, default: 'auto' },
  /** Levels at equal distances on both sides of 0 (0 itself is none of them), instead of from min to max. */
  symmetric: { of: [true, false], default: true },
  /** `mse` clips where that lowers the squared error (weighted by diag H); `absmax` never clips. */
  clip: { of: ['absmax', 'mse'], default: 'mse' },
  scales: { like: scaleFormat, default: 'f16' },
} as const satisfies Fields

/**
 * A uniform grid: `Ŵ = scale · (code − zero)`, or symmetric `Ŵ = scale · (code − (2^bits − 1) / 2)`.
 *
 * Parts: `codes` U8 `[rows, ⌈cols·bits / 8⌉]` (each row packed, lowest bit first), `scales` `[rows, cols / group]`, for
 * `double` ones `scaleBlocks`, and where not symmetric `zeros`, packed as codes are.
 */
export const gridLayout: StoredLayout<typeof params> = {
  codec: 'grid',
  params,
  parts: (shape, params) => scalarParts(shape, params, !params.symmetric),
}

/** Values of the codes before scaling. */
export const gridLevels = ({ bits, symmetric }: { readonly bits: number; readonly symmetric: boolean }) =>
  Float32Array.from({ length: 2 ** bits }, (_, i) => i - (symmetric ? (2 ** bits - 1) / 2 : 0))

/** Rows `from` to `to` (exclusive). */
export const readGrid = (e: Stored<typeof gridLayout>, from = 0, to = e.shape[0]): CodedRows =>
  readScalar(e, gridLevels(e.params), from, to)
