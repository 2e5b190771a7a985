import { matmul, multilayer } from '@reallm/kernels'
import { type Matrix, zeroMatrix } from '@reallm/tensor-io'
import { type DenseLayer, type ImplicitParams, vectorBits } from '@reallm/tensor-io/layouts'

/**
 * The codebook that the network generates: for every combination of codes `Σ_m C_m[c_m] + MLP([C_1[c_1], …])`.
 * `[2^(bits of a vector), dim]`; the first code is in the lowest bits of a row's index.
 */
export function implicitTable(layers: readonly DenseLayer[], params: ImplicitParams): Matrix {
  const codewords = gatherCodewords(layers, params)
  const table = multilayer(codewords, layers.slice(params.codeBits.length), (x, w) =>
    matmul(x, w, { transposeB: true }),
  )
  for (let i = 0; i < table.data.length; i++) {
    const row = Math.floor(i / params.dim) * codewords.cols
    for (let m = 0; m < params.codeBits.length; m++) {
      table.data[i] += codewords.data[row + m * params.dim + (i % params.dim)]
    }
  }
  return table
}

/** Number of code `m` in entry `index` of the table. */
export function codeOf(index: number, m: number, codeBits: readonly number[]): number {
  const below = codeBits.slice(0, m).reduce((sum, b) => sum + b, 0)
  return (index >>> below) & (2 ** codeBits[m] - 1)
}

/** The codewords of every combination side by side: `[entries, codes·dim]`. */
function gatherCodewords(layers: readonly DenseLayer[], params: ImplicitParams): Matrix {
  const { dim, codeBits } = params
  const entries = 2 ** vectorBits(params)
  const out = zeroMatrix(entries, codeBits.length * dim)
  for (let e = 0; e < entries; e++) {
    codeBits.forEach((_, m) => {
      const { weight, bias } = layers[m]
      const code = codeOf(e, m, codeBits)
      for (let j = 0; j < dim; j++) {
        out.data[e * out.cols + m * dim + j] = weight.data[j * weight.cols + code] + bias[j]
      }
    })
  }
  return out
}
