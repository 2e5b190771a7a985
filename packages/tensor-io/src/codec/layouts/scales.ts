import { toFloat32 } from '../../core/float.ts'
import type { EncodedMatrix, StorageCost } from '../encoded-matrix.ts'
import type { Field } from '../field.ts'

/**
 * How group scales are stored: `f32`, `f16`, or `double`: 8-bit codes with an f32 offset and step for every 256 of
 * them (double quantisation, QLoRA §3): 8.25 bits a scale.
 */
export type ScaleFormat = 'f32' | 'f16' | 'double'

/** The field of parameters that says how scales are stored. */
export const scaleFormat = { of: ['f32', 'f16', 'double'] } as const satisfies Field

/** Scales of the format `double` that share an offset and a step. */
export const SCALE_BLOCK = 256

/** The part `scales` `[rows, perRow]`, and `scaleBlocks` for `double`. */
export function scaleParts(format: ScaleFormat, rows: number, perRow: number): StorageCost {
  const shape = [rows, perRow]
  if (format === 'f32') return { scales: { dtype: 'F32', shape } }
  if (format === 'f16') return { scales: { dtype: 'F16', shape } }
  const blocks = Math.ceil((rows * perRow) / SCALE_BLOCK)
  return { scales: { dtype: 'U8', shape }, scaleBlocks: { dtype: 'F32', shape: [blocks, 2] } }
}

/** One f32 scale for the matrix, or an f16 one for each row. */
export const wholeScale = { of: ['matrix', 'row'] } as const satisfies Field

/** The part `scales` of {@link wholeScale}. */
export const wholeScaleParts = (of: 'matrix' | 'row', rows: number): StorageCost =>
  of === 'row' ? scaleParts('f16', rows, 1) : scaleParts('f32', 1, 1)

/** Scales `from` to `to` (exclusive) of a stored matrix. */
export function readScales({ parts }: EncodedMatrix, from: number, to: number): Float32Array {
  const { dtype, data } = parts.scales
  if (dtype !== 'U8') {
    return toFloat32({ dtype, shape: [to - from], data: data.subarray(from, to) as typeof data })
  }
  const codes = data as Uint8Array
  const blocks = parts.scaleBlocks.data as Float32Array
  const values = new Float32Array(to - from)
  for (let i = from; i < to; i++) values[i - from] = secondLevel(codes[i], blocks, i)
  return values
}

/** Scales of rows `from` to `to`, or the one of the matrix: see {@link wholeScale}. */
export const readWholeScales = (e: EncodedMatrix, of: 'matrix' | 'row', from: number, to: number) =>
  of === 'row' ? readScales(e, from, to) : readScales(e, 0, 1)

/** The value of scale `i` in the format `double`; `blocks` are the offsets and steps. */
export function secondLevel(code: number, blocks: Float32Array, i: number): number {
  const b = 2 * Math.floor(i / SCALE_BLOCK)
  return blocks[b] + code * blocks[b + 1]
}
