import { type TfTensor, tf } from '@reallm/transformer'

/** Codes of a matrix `[rows, groups, M]`, counted within their codebook of `size` words. */
export interface CodewordChoice {
  readonly rows: number
  readonly count: number
  readonly size: number
  readonly codes: Uint16Array
}

/**
 * Sums of the chosen codewords, `[rows, groups · dim]`, differentiable in the codebooks `[M · size, dim]`. The gradient is
 * gathered here: not every backend has that of a look-up.
 */
export function codewordSums({ rows, count, size, codes }: CodewordChoice, codebooks: TfTensor): TfTensor {
  const words = Int32Array.from(codes, (code, i) => (i % count) * size + code)
  const [all, dim] = codebooks.shape as [number, number]
  return tf.customGrad(books => ({
    value: tf.tidy(() => {
      const chosen = tf.gather(books as TfTensor, tf.tensor1d(words, 'int32'))
      return chosen.reshape([-1, count, dim]).sum(1).reshape([rows, -1]) as TfTensor
    }),
    gradFunc: (dy: TfTensor) => {
      const gradient = new Float32Array(all * dim)
      const given = dy.dataSync()
      for (const [i, word] of words.entries()) {
        const from = Math.floor(i / count) * dim
        for (let j = 0; j < dim; j++) gradient[word * dim + j] += given[from + j]
      }
      return tf.tensor2d(gradient, [all, dim]) as TfTensor
    },
  }))(codebooks)
}
