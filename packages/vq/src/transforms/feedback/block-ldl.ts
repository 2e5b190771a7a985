import { copyMatrix, type Matrix, tileOf } from '@reallm/tensor-io'

/**
 * Rows of the unit factor `V` of a block LDL decomposition (QuIP#, arXiv 2402.04396 §4): the rows of `U` scaled by the inverses of
 * its diagonal blocks, `V_B = U_BB⁻¹ U_B,:`, so that every `block × block` diagonal block is the identity. An error `E_B`
 * (decoded less wanted) in a block of columns is made up for by `W_later += E_B V_B,later`.
 *
 * @param u upper triangular, `[n, n]`, `H⁻¹ = UᵀU`; or its first rows, whole blocks of them
 */
export function unitFactor(u: Matrix, block: number): Matrix {
  const v = copyMatrix(u)
  makeUnit(v, block)
  return v
}

/** The same in place of `v`, which is U at first. */
function makeUnit(v: Matrix, block: number): void {
  const n = v.cols
  for (let start = 0; start < v.rows; start += block) {
    const end = Math.min(start + block, n)
    for (let i = end - 1; i >= start; i--) {
      for (let k = i + 1; k < end; k++) {
        const factor = v.data[i * n + k]
        for (let j = end; j < n; j++) v.data[i * n + j] -= factor * v.data[k * n + j]
      }
      const pivot = 1 / v.data[i * n + i]
      for (let j = end; j < n; j++) v.data[i * n + j] *= pivot
      for (let j = start; j < end; j++) v.data[i * n + j] = i === j ? 1 : 0
    }
  }
}

/**
 * The cost of an error in each column after the columns of later blocks have made up for it: the diagonal of
 * `(U_BBᵀ U_BB)⁻¹`, which is the Schur complement of the later columns in H.
 *
 * @param u upper triangular, `[n, n]`, `H⁻¹ = UᵀU`
 * @returns `[n]`, in units of H
 */
export function blockLoss(u: Matrix, block: number): Float32Array<ArrayBuffer> {
  const n = u.cols
  const loss = new Float32Array(n)
  const column = new Float64Array(block)
  for (let start = 0; start < n; start += block) {
    const end = Math.min(start + block, n)
    for (let c = start; c < end; c++) {
      // Column c of the inverse of U_BB, from its diagonal upwards.
      for (let r = c; r >= start; r--) {
        let sum = r === c ? 1 : 0
        for (let k = r + 1; k <= c; k++) sum -= u.data[r * n + k] * column[k - start]
        column[r - start] = sum / u.data[r * n + r]
        loss[r] += column[r - start] ** 2
      }
    }
  }
  return loss
}

/**
 * Variance of what error feedback hands to the codec in each column, over that of the weights: errors of earlier columns add to it.
 * Weights are taken for uncorrelated, as behind a rotation.
 *
 * @param u upper triangular, `[n, n]`, `H⁻¹ = UᵀU`
 * @param noise error that the codec makes in each column, over the variance of what it is handed, `[n]`
 * @returns `[n]`
 */
export function targetVariance(u: Matrix, block: number, noise: Float32Array): Float64Array {
  const n = u.cols
  const variance = new Float64Array(n).fill(1)
  for (let start = 0; start < n; start += block) {
    const rows = Math.min(block, n - start)
    const later = tileOf(u, start, start, rows, n - start)
    makeUnit(later, rows)
    const { data, cols } = later
    for (let r = 0; r < rows; r++) {
      const error = noise[start + r] * variance[start + r]
      for (let c = rows; c < cols; c++) variance[start + c] += error * data[r * cols + c] ** 2
    }
  }
  return variance
}
