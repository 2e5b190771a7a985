import { ReallmError } from '@reallm/tensor-io'
import type { Compiler } from './compiler.ts'
import { floatWord, type VectorStep } from './stage.ts'
import { type GpuWeight, isTrellis } from './weight.ts'

/**
 * The steps that look up the rows of the tokens, times a factor.
 *
 * @throws `unsupported` where a row cannot be looked up by itself
 */
export function lookUp(c: Compiler, w: GpuWeight, scale: number): VectorStep[] {
  const isRow = w.pieces.length === 1 && w.after.length === 0
  if (!isRow || w.before.some(({ kind }) => kind === 'low-rank')) {
    throw new ReallmError(
      'unsupported',
      `rows of the embedding [${w.rows}×${w.cols}] cannot be looked up on this GPU`,
      { hint: "load it with device: 'wasm'" },
    )
  }
  const load: VectorStep[] = [
    { op: 'embed', words: [floatWord(scale), ...placeOf(c, w.pieces[0])], size: w.cols },
  ]
  // A row of S T W' is a row of W' that goes through what an input goes through, backwards.
  for (const step of w.before.toReversed()) {
    if (step.kind === 'scale') load.push(c.steps.scale(step.factors))
    if (step.kind === 'rotate') load.push(c.steps.rotate('rotateOutput', step))
  }
  return load
}

/** The arguments of a kernel that looks rows up. */
function placeOf({ shared }: Compiler, { blob, place: { at } }: GpuWeight['pieces'][number]): number[] {
  const { rows, cols } = blob
  if (isTrellis(blob)) {
    const tables = shared.tables.place(blob.tables)
    const size = [at, Math.ceil(cols / 16), Math.ceil(rows / 16)]
    return [...size, at + blob.scalesAt, blob.scaleStep, tables, 0, 0]
  }
  const { codes, rowWords, group, table, scales, shifts } = blob
  const size = [at + codes, rowWords, Math.ceil(cols / 8), Math.ceil(cols / group)]
  return [...size, at + table, at + scales, at + shifts, group]
}
