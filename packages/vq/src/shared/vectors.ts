import { type Matrix, zeroMatrix } from '@reallm/tensor-io'

/** Root mean square of every group of a row, `[rows, cols / group]`. */
export function groupScales(w: Matrix, group: number): Float32Array {
  return Float32Array.from({ length: w.data.length / group }, (_, g) => {
    let squares = 0
    for (let i = g * group; i < (g + 1) * group; i++) squares += w.data[i] * w.data[i]
    return Math.sqrt(squares / group)
  })
}

/** Weights divided by their group's scale; 0 where that is 0. */
export function normalise(w: Matrix, scales: Float32Array, group: number): Matrix {
  const out = zeroMatrix(w.rows, w.cols)
  for (let g = 0; g < scales.length; g++) {
    const inverse = scales[g] > 0 ? 1 / scales[g] : 0
    for (let i = g * group; i < (g + 1) * group; i++) out.data[i] = w.data[i] * inverse
  }
  return out
}

/** Importance of each normalised weight: scale² · H[c, c]. */
export function importanceOf(w: Matrix, scales: Float32Array, group: number, hessian?: Matrix): Matrix {
  const out = zeroMatrix(w.rows, w.cols)
  for (let i = 0; i < out.data.length; i++) {
    const scale = scales[Math.floor(i / group)]
    out.data[i] = scale * scale * (hessian ? hessian.data[(i % w.cols) * (w.cols + 1)] : 1)
  }
  return out
}

/** Rows cut into vectors of `dim`, `[rows·⌈cols / dim⌉, dim]`; the last one of a row is padded with zeros. */
export function vectorsOf(x: Matrix, dim: number): Matrix {
  if (x.cols % dim === 0) return { rows: x.data.length / dim, cols: dim, data: x.data }
  const perRow = Math.ceil(x.cols / dim)
  const out = zeroMatrix(x.rows * perRow, dim)
  for (let r = 0; r < x.rows; r++) {
    out.data.set(x.data.subarray(r * x.cols, (r + 1) * x.cols), r * perRow * dim)
  }
  return out
}
