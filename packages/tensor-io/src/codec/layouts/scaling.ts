import { e4m3ToF32 } from '../../core/float.ts'
import type { Tensor } from '../../core/tensor.ts'
import type { Fields } from '../field.ts'
import type { Stored, StoredLayout } from '../layout.ts'

const params = {
  /** A scale for each row. */
  rows: { of: [true, false], default: true },
  /** A scale for each column. */
  cols: { of: [true, false], default: true },
} as const satisfies Fields

/**
 * Scales on the sides of the wrapped matrix: `W = R W' C`.
 *
 * Parts: `rowScales` F8_E4M3 `[rows]` and `colScales` F8_E4M3 `[cols]`, where there are such.
 */
export const scalingLayout: StoredLayout<typeof params> = {
  codec: 'scaling',
  wraps: true,
  params,
  parts: ([rows, cols], sides) => ({
    ...(sides.rows ? { rowScales: { dtype: 'F8_E4M3', shape: [rows] } } : {}),
    ...(sides.cols ? { colScales: { dtype: 'F8_E4M3', shape: [cols] } } : {}),
  }),
}

/** Scales of the rows or columns of a matrix. */
export type SideScales = readonly [rows: Float32Array | undefined, cols: Float32Array | undefined]

/** The scales of rows and columns. */
export function readScaling({ parts }: Pick<Stored<typeof scalingLayout>, 'parts'>): SideScales {
  const values = (part: Tensor | undefined) => part && e4m3ToF32(part.data as Uint8Array)
  return [values(parts.rowScales), values(parts.colScales)]
}
