import {
  checkParts,
  type EncodedMatrix,
  type Fields,
  type FullParams,
  type StoredLayout,
} from '@reallm/tensor-io'
import type { Engine } from '../engine.ts'
import type { Linear, LinearWriter } from './linear.ts'
import type { StoredRows } from './stored-rows.ts'

/** How base codecs are held, and the writer for those that are expanded with some loss. */
export interface EncodedForm {
  readonly form: 'packed' | 'exact' | 'written'
  writer(rows: number, cols: number): LinearWriter
}

/** Makes a stored matrix of one codec ready to run; `wrapped` does so for the matrix that it wraps. */
export type Runner = (
  engine: Engine,
  e: EncodedMatrix,
  options: EncodedForm,
  wrapped: (inner: EncodedMatrix) => Promise<Linear>,
) => Promise<Linear>

/** A runner of what a layout describes: nothing is read of a matrix before it is known to be that. */
export const runner =
  <F extends Fields>(
    layout: StoredLayout<F>,
    run: (engine: Engine, e: EncodedMatrix<FullParams<F>>, options: EncodedForm) => Linear | Promise<Linear>,
  ): Runner =>
  async (engine, e, options) =>
    run(engine, checkParts(layout, e), options)

/** A runner of a layout that wraps another matrix, `inner`. */
export const wrapperRunner =
  <F extends Fields>(
    layout: StoredLayout<F>,
    run: (engine: Engine, e: EncodedMatrix<FullParams<F>>, inner: Linear) => Linear,
  ): Runner =>
  async (engine, e, _, wrapped) => {
    const stored = checkParts(layout, e)
    return run(engine, stored, await wrapped(e.inner!))
  }

/** Floats decoded at a time. */
const STAGED = 1 << 18

/** A matrix decoded row by row and held as the writer of the options holds it. */
export function written(
  engine: Engine,
  [rows, cols]: readonly [rows: number, cols: number],
  rowsOf: StoredRows,
  options: EncodedForm,
): Linear {
  const step = Math.max(1, Math.floor(STAGED / cols))
  const staging = engine.allocateFloats(step * cols)
  const writer = options.writer(rows, cols)
  const values = new Float32Array(step * cols)
  for (let from = 0; from < rows; from += step) {
    const to = Math.min(rows, from + step)
    rowsOf(from, to, values)
    engine.arena.floats(staging, values.length).set(values)
    writer.write(staging, to - from)
  }
  engine.arena.free(staging)
  return writer.finish()
}
