import { matmul } from '@reallm/kernels'
import type { Matrix } from '@reallm/tensor-io'

/** M codebooks of the same size, one below the other: `[M·size, dim]`. */
export interface Codebooks {
  readonly vectors: Matrix
  readonly count: number
  readonly size: number
}

/** Targets compared with all codewords at a time. */
const BATCH = 512

/**
 * Finds for every target the codewords, one of each codebook, whose sum is near it: codebook by codebook, keeping the `beam`
 * best sums so far (AQLM, arXiv 2401.06118 §3.2). The codebooks must not change while the search is used.
 *
 * @returns a function from targets `[n, dim]` to codes `[n, M]`, counted within each codebook
 */
export function beamSearch(books: Codebooks, beam: number): (targets: Matrix) => Uint16Array {
  const search = createSearch(books, beam)
  return targets => searchAll(targets, books, search)
}

function searchAll(targets: Matrix, { vectors, count, size }: Codebooks, search: Search): Uint16Array {
  const codes = new Uint16Array(targets.rows * count)
  for (let from = 0; from < targets.rows; from += BATCH) {
    const rows = Math.min(BATCH, targets.rows - from)
    const data = targets.data.subarray(from * targets.cols, (from + rows) * targets.cols)
    const similar = matmul({ rows, cols: targets.cols, data }, vectors, { transposeB: true }).data
    for (let i = 0; i < rows; i++) search(similar, i * count * size, codes, (from + i) * count)
  }
  return codes
}

/** Writes the codes of one target, given its products with all codewords from `at`. */
type Search = (similar: Float32Array, at: number, codes: Uint16Array, to: number) => void

/** A search for one target, given its products with all codewords; arrays are shared by all searches. */
function createSearch({ vectors, count, size }: Codebooks, beam: number): Search {
  const all = count * size
  const products = matmul(vectors, vectors, { transposeB: true }).data
  const norms = Float32Array.from({ length: all }, (_, c) => products[c * (all + 1)])
  const alone = new Float32Array(size)
  const terms = new Float32Array(size)
  const word = new Uint16Array(beam)
  const parent = new Uint8Array(beam)
  let distance = new Float32Array(beam)
  let nextDistance = new Float32Array(beam)
  let path = new Uint16Array(beam * count)
  let nextPath = new Uint16Array(beam * count)

  /** Puts a hypothesis in its place among the best so far; how many there are. */
  function insert(d: number, k: number, h: number, filled: number): number {
    let place = filled < beam ? filled : beam - 1
    for (; place > 0 && nextDistance[place - 1] > d; place--) {
      nextDistance[place] = nextDistance[place - 1]
      word[place] = word[place - 1]
      parent[place] = parent[place - 1]
    }
    nextDistance[place] = d
    word[place] = k
    parent[place] = h
    return filled < beam ? filled + 1 : beam
  }

  return (similar, at, codes, to) => {
    let kept = 1
    distance[0] = 0
    for (let m = 0; m < count; m++) {
      const first = m * size
      let filled = 0
      let worst = Number.POSITIVE_INFINITY
      // ‖x − Σ c‖² without ‖x‖²: each codeword adds ‖c‖² − 2xc and twice its products with those before.
      for (let k = 0; k < size; k++) alone[k] = norms[first + k] - 2 * similar[at + first + k]
      for (let h = 0; h < kept; h++) {
        terms.set(alone)
        for (let j = 0; j < m; j++) {
          const row = (j * size + path[h * count + j]) * all + first
          for (let k = 0; k < size; k++) terms[k] += 2 * products[row + k]
        }
        const base = distance[h]
        for (let k = 0; k < size; k++) {
          const d = base + terms[k]
          if (d >= worst) continue
          filled = insert(d, k, h, filled)
          if (filled === beam) worst = nextDistance[beam - 1]
        }
      }
      for (let h = 0; h < filled; h++) {
        for (let j = 0; j < m; j++) nextPath[h * count + j] = path[parent[h] * count + j]
        nextPath[h * count + m] = word[h]
      }
      ;[distance, nextDistance] = [nextDistance, distance]
      ;[path, nextPath] = [nextPath, path]
      kept = filled
    }
    for (let m = 0; m < count; m++) codes[to + m] = path[m]
  }
}

/** Sums of the chosen codewords, `[n, dim]`. */
export function sumsOf(codes: Uint16Array, { vectors, count, size }: Codebooks): Matrix {
  const { cols: dim, data } = vectors
  const rows = codes.length / count
  const out = new Float32Array(rows * dim)
  for (let i = 0; i < rows; i++) {
    for (let m = 0; m < count; m++) {
      const c = (m * size + codes[i * count + m]) * dim
      for (let j = 0; j < dim; j++) out[i * dim + j] += data[c + j]
    }
  }
  return { rows, cols: dim, data: out }
}
