import { type Matrix, ReallmError } from '@reallm/tensor-io'
import { engine, floats, reserve } from './engine.ts'
import { matmul } from './matmul.ts'
import { beamSearch as reference } from './reference/beam-search.ts'
import { shapeText } from './shapes.ts'

/** M codebooks of the same size, one below the other: `[M·size, dim]`. */
export interface Codebooks {
  readonly vectors: Matrix
  readonly count: number
  readonly size: number
}

/** Targets that are searched for at a time. */
const BATCH = 4096

/**
 * Finds for every target the codewords, one of each codebook, whose sum is near it: codebook by codebook, keeping the `beam`
 * best sums so far (AQLM, arXiv 2401.06118 §3.2). The codebooks must not change while the search is used.
 *
 * @param books up to 65536 codewords in each, a multiple of 4
 * @returns a function from targets `[n, dim]` to codes `[n, M]`, counted within each codebook
 * @example
 * const codes = beamSearch(books, 8)(targets)
 */
export function beamSearch(books: Codebooks, beam: number): (targets: Matrix) => Uint16Array {
  const { vectors, count, size } = books
  if (size % 4 !== 0 || vectors.rows !== count * size || !(Number.isInteger(beam) && beam >= 1)) {
    throw new ReallmError(
      'bad-tensor',
      `no beam of ${beam} over ${count} codebooks of ${size} in ${shapeText(vectors)}`,
    )
  }
  const products = matmul(vectors, vectors, { transposeB: true })
  const norms = Float32Array.from({ length: vectors.rows }, (_, c) => products.data[c * (vectors.rows + 1)])
  return targets => {
    const codes = new Uint16Array(targets.rows * count)
    for (let from = 0; from < targets.rows; from += BATCH) {
      const rows = Math.min(BATCH, targets.rows - from)
      const data = targets.data.subarray(from * targets.cols, (from + rows) * targets.cols)
      const similar = matmul({ rows, cols: targets.cols, data }, vectors, { transposeB: true })
      codes.set(searchBatch(similar, products, norms, books, beam), from * count)
    }
    return codes
  }
}

function searchBatch(
  similar: Matrix,
  products: Matrix,
  norms: Float32Array,
  { count, size }: Codebooks,
  beam: number,
): Uint16Array {
  const e = engine()
  if (!e) return reference(similar, products, norms, { count, size, beam })
  const n = similar.rows
  const scratch = e.threads * e.kernels.beamScratch(count, size, beam)
  const [ps, pp, pn, po, pw] = reserve(
    e,
    ...[4 * similar.data.length, 4 * products.data.length, 4 * norms.length, 2 * n * count, scratch],
  )
  floats(e, ps, similar.data.length).set(similar.data)
  floats(e, pp, products.data.length).set(products.data)
  floats(e, pn, norms.length).set(norms)
  e.kernels.beamSearch(ps, pp, pn, n, count, size, beam, po, pw)
  return new Uint16Array(e.memory.buffer, po, n * count)
}
