import type { MatrixShape } from '@reallm/tensor-io'
import type { MatrixModule } from './model-parts.ts'

/** Bits of the scale of a row or column. */
const scaleBits = 8

/**
 * Finds, piece by piece, the sides of a matrix whose norms differ so much that a scale for each row or column takes away more of the
 * error than its bits would as codes. Under error feedback scales lower the error from the arithmetic to the geometric mean of the
 * squared norms (`scaled` of `@reallm/vq`); a bit for every weight divides it by four.
 *
 * @param shape `[out, in]`
 */
export function unevenSides([rows, cols]: MatrixShape) {
  const ofRows = new Float64Array(rows)
  const ofCols = new Float64Array(cols)
  return {
    /** Weights that begin at place `at`, the first of a row. */
    add(data: Float32Array, at: number): void {
      for (let i = 0, r = at / cols; i < data.length; r++) {
        for (let c = 0; c < cols; c++, i++) {
          const square = data[i] * data[i]
          ofRows[r] += square
          ofCols[c] += square
        }
      }
    },
    found(): Required<MatrixModule>['uneven'] {
      const pays = (squares: Float64Array, across: number) =>
        unevenness(squares) > (scaleBits / across) * Math.log(4)
      return { rows: pays(ofRows, cols), cols: pays(ofCols, rows) }
    },
  }
}

/** Logarithm of the arithmetic over the geometric mean; zeros are left out. */
function unevenness(values: Float64Array): number {
  const positive = values.filter(v => v > 0)
  if (positive.length === 0) return 0
  const mean = (all: Float64Array) => all.reduce((sum, v) => sum + v, 0) / all.length
  return Math.log(mean(positive)) - mean(positive.map(Math.log))
}
