import type { Matrix } from '@reallm/tensor-io'
import {
  block,
  type Hooks,
  head,
  type Sublayer,
  sublayers,
  type TfTensor,
  type TransformerConfig,
  tf,
  valuesOf,
  type Weights,
} from '@reallm/transformer'

/** The first of the modules of block `i` that see the same input as `module` (a whole name). */
export function leaderOf(config: TransformerConfig, i: number, module: string): string {
  const groups = sublayers(config, i).flatMap(({ groups }) => groups)
  return groups.find(group => group.includes(module))![0]
}

class Reached extends Error {}

/** Activations of windows of equal length: `values` `[windows · positions · hidden]`. */
export interface WindowBatch {
  readonly values: Float32Array
  /** Positions of a window. */
  readonly length: number
}

/** Block `i` on some windows; the result has the layout of `x.values`. */
export const runBlock = (
  config: TransformerConfig,
  weights: Weights,
  i: number,
  x: WindowBatch,
): Float32Array => valuesOf(() => block(config, weights, i, tensorOf(config, x)))

/** A sublayer on some windows. */
export const runSublayer = (
  config: TransformerConfig,
  weights: Weights,
  sublayer: Sublayer,
  x: WindowBatch,
  hooks: Hooks = {},
): Float32Array => valuesOf(() => sublayer.forward(weights, tensorOf(config, x), hooks))

/** A sublayer from its input and from what goes into its last group, `[windows · positions, in]`, where it can. */
export function finishSublayer(
  config: TransformerConfig,
  weights: Weights,
  sublayer: Sublayer,
  x: WindowBatch,
  last: Float32Array,
): Float32Array {
  const { finish } = sublayer
  if (!finish) return runSublayer(config, weights, sublayer, x)
  return valuesOf(() => {
    const before = tensorOf(config, x)
    const [batch, length] = before.shape as [number, number]
    return finish(weights, before, tf.tensor3d(last, [batch, length, last.length / batch / length]))
  })
}

/** What goes into `module` (a whole name) of a sublayer, `[windows · positions, in]`; no more is computed. */
export function inputOf(
  config: TransformerConfig,
  weights: Weights,
  sublayer: Sublayer,
  x: WindowBatch,
  module: string,
): TfTensor {
  let found: TfTensor | undefined
  try {
    tf.tidy(() => {
      sublayer.forward(weights, tensorOf(config, x), {
        onInput(name, input) {
          if (name !== module) return
          found = tf.keep(input.reshape([-1, input.shape.at(-1)!]).clone())
          throw new Reached()
        },
      })
    })
  } catch (error) {
    if (!(error instanceof Reached)) throw error
  }
  return found!
}

/** What the output head multiplies, `[windows · positions, hidden]`; `weights` hold the last norm. */
export function headInput(config: TransformerConfig, weights: Weights, x: WindowBatch): TfTensor {
  let found: TfTensor | undefined
  tf.tidy(() => {
    head(config, weights, tensorOf(config, x), {
      linear(_module, normed) {
        found = tf.keep(normed.reshape([-1, config.hiddenSize]).clone())
        return normed
      },
    })
  })
  return found!
}

const tensorOf = ({ hiddenSize }: TransformerConfig, { values, length }: WindowBatch): TfTensor =>
  tf.tensor3d(values, [values.length / hiddenSize / length, length, hiddenSize])

/** Sums of outer products over windows: `Σ aᵀb`, `[columns of a, columns of b]`. */
export interface Moment {
  /** How many have been added. */
  readonly positions: number
  /** a `[positions, n]`, b `[positions, m]`; neither is disposed. */
  add(a: TfTensor, b: TfTensor): void
  /** The mean over all positions added, and the end of this moment. */
  take(): Matrix
}

/** Starts a sum, kept on the compute backend. */
export function moment(): Moment {
  let sum: TfTensor | undefined
  let positions = 0
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
      sum!.dispose()
      return { rows, cols, data }
    },
  }
}

/** Bands that a symmetric sum is computed in: of four, six of the sixteen blocks are the others' mirror images. */
const BANDS = 4

/** A sum that is symmetric, where `a` is `b` with its rows weighed: only blocks on and above the diagonal are computed. */
export function symmetricMoment(): Moment {
  const bands: Moment[] = []
  let width = 0
  return {
    get positions() {
      return bands[0]?.positions ?? 0
    },
    add(a, b) {
      const [positions, n] = a.shape as [number, number]
      width = Math.ceil(n / BANDS)
      for (let from = 0, i = 0; from < n; from += width, i++) {
        bands[i] ??= moment()
        const [own, rest] = tf.tidy(() => [
          a.slice([0, from], [positions, Math.min(width, n - from)]),
          b.slice([0, from], [positions, n - from]),
        ])
        bands[i].add(own, rest)
        tf.dispose([own, rest])
      }
    },
    take() {
      const parts = bands.map(band => band.take())
      const n = parts[0].cols
      const data = new Float32Array(n * n)
      for (const [i, part] of parts.entries()) {
        const from = i * width
        for (let r = 0; r < part.rows; r++) {
          const row = part.data.subarray(r * part.cols, (r + 1) * part.cols)
          data.set(row.subarray(r), (from + r) * (n + 1))
          for (let c = r; c < part.cols; c++) data[(from + c) * n + from + r] = row[c]
        }
      }
      return { rows: n, cols: n, data }
    },
  }
}
