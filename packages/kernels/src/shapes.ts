import { type Matrix, ReallmError, zeroMatrix } from '@reallm/tensor-io'

/** Which factors of a product are transposed. */
export interface MatmulOptions {
  /** Use Aᵀ: `a` is `[k, m]`. */
  readonly transposeA?: boolean | undefined
  /** Use Bᵀ: `b` is `[n, k]`, as weights of linear layers are. */
  readonly transposeB?: boolean | undefined
  /** Written instead of a new matrix; must not share memory with `a` or `b`. */
  readonly out?: Matrix | undefined
  /** Add to `out` instead of overwriting it. */
  readonly accumulate?: boolean | undefined
}

export interface MatmulShape {
  readonly m: number
  readonly n: number
  readonly k: number
  readonly out: Matrix
}

/** Shape as in error messages. */
export const shapeText = (a: Matrix): string => `[${a.rows}, ${a.cols}]`

/** Sizes of a product and the matrix to write to; throws `bad-tensor` when they do not fit. */
export function matmulShape(a: Matrix, b: Matrix, options: MatmulOptions): MatmulShape {
  const [m, k] = options.transposeA ? [a.cols, a.rows] : [a.rows, a.cols]
  const [kb, n] = options.transposeB ? [b.cols, b.rows] : [b.rows, b.cols]
  if (k !== kb) {
    const [ta, tb] = [options.transposeA ? 'ᵀ' : '', options.transposeB ? 'ᵀ' : '']
    throw new ReallmError('bad-tensor', `cannot multiply ${shapeText(a)}${ta} by ${shapeText(b)}${tb}`, {
      hint: 'the inner sizes must be equal: check transposeA and transposeB',
    })
  }
  const out = options.out ?? zeroMatrix(m, n)
  if (out.rows !== m || out.cols !== n) {
    throw new ReallmError('bad-tensor', `out is ${shapeText(out)}, the product is [${m}, ${n}]`)
  }
  return { m, n, k, out }
}

/** Side of a square matrix; throws `bad-tensor` otherwise. */
export function squareSize(a: Matrix, name: string): number {
  if (a.rows !== a.cols) throw new ReallmError('bad-tensor', `${name} must be square, got ${shapeText(a)}`)
  return a.rows
}

/** The matrix that a Gram product is added to. */
export function gramTarget(x: Matrix, into: Matrix | undefined): Matrix {
  if (!into) return zeroMatrix(x.cols, x.cols)
  if (into.rows !== x.cols || into.cols !== x.cols) {
    throw new ReallmError('bad-tensor', `into is ${shapeText(into)}, XᵀX is [${x.cols}, ${x.cols}]`)
  }
  return into
}
