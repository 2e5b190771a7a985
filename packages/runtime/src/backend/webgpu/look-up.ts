import { ReallmError } from '@reallm/tensor-io'
import type { Compiler } from './compiler.ts'
import { floatWord, stageWords, type VectorStep } from './stage.ts'
import { codeOf, type GpuWeight, isTrellis, type Piece } from './weight.ts'

/** What reads the rows of the tokens. */
export interface LookedUp {
  readonly load: VectorStep[]
  /** Whose kernel `load` needs, where it looks rows up itself. */
  readonly embedding?: Piece
  release(): void
}

/**
 * The steps that look up the rows of the tokens, times a factor. Pieces that no kernel reads together take a dispatch each, which
 * writes the rows that it has.
 *
 * @throws `unsupported` where a row cannot be looked up by itself
 */
export function lookUp(c: Compiler, w: GpuWeight, scale: number): LookedUp {
  if (w.after.length > 0 || w.before.some(({ kind }) => kind === 'low-rank')) {
    throw new ReallmError(
      'unsupported',
      `rows of the embedding [${w.rows}×${w.cols}] cannot be looked up on this GPU`,
      { hint: "load it with device: 'wasm'" },
    )
  }
  const size = w.cols
  // A row of S T W' is a row of W' that goes through what an input goes through, backwards.
  const turned: VectorStep[] = []
  for (const step of w.before.toReversed()) {
    if (step.kind === 'scale') turned.push(c.steps.scale(step.factors))
    if (step.kind === 'rotate') turned.push(c.steps.rotate('rotateOutput', step))
  }
  const embed = (piece: Piece): VectorStep => ({
    op: 'embed',
    words: [floatWord(scale), piece.firstRow, ...placeOf(c, piece)],
    size,
  })
  const [embedding, ...others] = w.pieces
  if (others.length === 0) return { load: [embed(embedding), ...turned], embedding, release() {} }
  const groups = groupsOf(w.pieces)
  if (groups.length === 1) {
    const load = w.pieces.flatMap(piece => onlyRowsOf(piece, [embed(piece)]))
    return { load: [...load, ...turned], embedding, release() {} }
  }
  const region = c.activations.take(size * c.tokens)
  const store: VectorStep = { op: 'store', words: [size, region.at], size }
  for (const pieces of groups) {
    const steps = pieces.flatMap(piece => onlyRowsOf(piece, [embed(piece), ...turned, store]))
    c.emit({ kind: 'vector', role: 'rows', slots: [steps], embedding: pieces[0] })
  }
  return {
    load: [{ op: 'load', words: [size, region.at, size], size }],
    release: () => c.activations.give(region),
  }
}

/** Pieces in one buffer that one kernel reads. */
function groupsOf(pieces: readonly Piece[]): Piece[][] {
  const groups: Piece[][] = []
  for (const piece of pieces) {
    const isBeside = ([{ blob, place }]: Piece[]) =>
      place.buffer === piece.place.buffer && codeOf(blob) === codeOf(piece.blob)
    const group = groups.find(isBeside)
    if (group) group.push(piece)
    else groups.push([piece])
  }
  return groups
}

/** Steps that are left out for tokens whose rows are in other pieces. */
const onlyRowsOf = ({ firstRow, blob }: Piece, steps: readonly VectorStep[]): VectorStep[] => [
  { op: 'rows', words: [firstRow, blob.rows, stageWords([steps]).length - 2], size: 0 },
  ...steps,
]

/** The arguments of a kernel that looks rows up. */
function placeOf({ shared }: Compiler, { blob, place: { at } }: Piece): number[] {
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
