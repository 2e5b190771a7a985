import { matmul } from '@reallm/kernels'
import { type Matrix, zeroMatrix } from '@reallm/tensor-io'
import { type TfTensor, tf, valuesOf } from '@reallm/transformer'
import { sharedFloats } from '#workers'

/** A mean of outer products, `Σ aᵀb / positions`, `[columns of a, columns of b]`, summed on the compute backend. */
export interface Covariance {
  /** Positions added so far. */
  readonly positions: number
  /** a `[positions, n]`, b `[positions, m]`; neither is disposed. */
  add(a: TfTensor, b: TfTensor): void
  /** The mean over all positions, in memory that threads share; frees the sum. */
  take(): Matrix
  /** Frees the sum, unless it was taken. */
  dispose(): void
}

/** Starts a mean of outer products. */
export function covariance(): Covariance {
  const sum = runningSum()
  return {
    get positions() {
      return sum.positions
    },
    add: sum.add,
    take() {
      const { rows, cols, data } = sum.take()
      const shared = sharedFloats(data.length)
      shared.set(data)
      return { rows, cols, data: shared }
    },
    dispose: sum.dispose,
  }
}

/** The same, whose mean is in memory of this thread. */
const runningSum = (): Covariance => (tf.getBackend() === 'wasm' ? hostSum() : deviceSum())

/** In memory of the backend. */
function deviceSum(): Covariance {
  let sum: TfTensor | undefined
  let positions = 0
  function dispose(): void {
    sum?.dispose()
    sum = undefined
  }
  return {
    get positions() {
      return positions
    },
    add(a, b) {
      positions += a.shape[0]
      const old = sum
      sum = tf.tidy(() => {
        const product = tf.matMul(a, b, true)
        return tf.keep(old ? old.add(product) : product)
      })
      old?.dispose()
    },
    take() {
      const [rows, cols] = sum!.shape as [number, number]
      const data = valuesOf(() => sum!.mul(1 / positions))
      dispose()
      return { rows, cols, data }
    },
    dispose,
  }
}

/** Outside WebAssembly's memory, which never shrinks, and summed where it lies. */
function hostSum(): Covariance {
  let sum: Matrix | undefined
  let positions = 0
  const matrixOf = (x: TfTensor): Matrix => {
    const [rows, cols] = x.shape as [number, number]
    return { rows, cols, data: x.dataSync() as Float32Array }
  }
  return {
    get positions() {
      return positions
    },
    add(a, b) {
      positions += a.shape[0]
      sum ??= zeroMatrix(a.shape[1]!, b.shape[1]!)
      matmul(matrixOf(a), matrixOf(b), { transposeA: true, accumulate: true, out: sum })
    },
    take() {
      const taken = sum!
      sum = undefined
      for (let i = 0; i < taken.data.length; i++) taken.data[i] /= positions
      return taken
    },
    dispose() {
      sum = undefined
    },
  }
}

/** Bands that a symmetric sum is computed in: only the blocks on and above the diagonal are multiplied. */
const BANDS = 4

/** The same for a symmetric mean, `a` being `b` with its rows weighed: little over half of the work. */
export function symmetricCovariance(): Covariance {
  const bands: Covariance[] = []
  let [n, width] = [0, 0]
  return {
    get positions() {
      return bands[0]?.positions ?? 0
    },
    add(a, b) {
      const [positions] = a.shape as [number, number]
      n = a.shape[1]!
      width = Math.ceil(n / BANDS)
      for (let from = 0, i = 0; from < n; from += width, i++) {
        bands[i] ??= runningSum()
        const [own, rest] = tf.tidy(() => [
          a.slice([0, from], [positions, Math.min(width, n - from)]),
          b.slice([0, from], [positions, n - from]),
        ])
        bands[i].add(own, rest)
        tf.dispose([own, rest])
      }
    },
    take() {
      const data = sharedFloats(n * n)
      for (const [i, band] of bands.entries()) {
        const [part, from] = [band.take(), i * width]
        for (let r = 0; r < part.rows; r++) {
          const row = part.data.subarray(r * part.cols, (r + 1) * part.cols)
          data.set(row.subarray(r), (from + r) * (n + 1))
          for (let c = r; c < part.cols; c++) data[(from + c) * n + from + r] = row[c]
        }
      }
      return { rows: n, cols: n, data }
    },
    dispose() {
      for (const band of bands) band.dispose()
    },
  }
}

/** `H + value · I` */
export function plusDiagonal(hessian: Matrix, value: number): Matrix {
  const data = sharedFloats(hessian.data.length)
  data.set(hessian.data)
  for (let i = 0; i < data.length; i += hessian.cols + 1) data[i] += value
  return { ...hessian, data }
}
