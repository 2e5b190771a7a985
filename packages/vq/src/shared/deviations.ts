import type { Matrix } from '@reallm/tensor-io'

/** Root mean square of a matrix (`[1]`), or of each of its rows (`[rows]`). */
export function deviations({ data, rows, cols }: Matrix, of: 'matrix' | 'row'): Float32Array {
  const squares = new Float64Array(rows)
  for (let r = 0, i = 0; r < rows; r++)
    for (const end = i + cols; i < end; i++) squares[r] += data[i] * data[i]
  if (of === 'row') return Float32Array.from(squares, s => Math.sqrt(s / cols))
  return Float32Array.of(Math.sqrt(squares.reduce((sum, s) => sum + s, 0) / (rows * cols)))
}
