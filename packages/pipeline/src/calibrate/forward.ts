import type { Matrix } from '@reallm/tensor-io'
import {
  attentionEnd,
  attentionHalf,
  block,
  type Hooks,
  head,
  mlpEnd,
  mlpHalf,
  type TfTensor,
  type TransformerConfig,
  tf,
  valuesOf,
  type Weights,
} from '@reallm/transformer'

/** The linear layers of a block that see the same input, in order; the first one's input stands for all. */
export const inputGroups = [
  ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'],
  ['self_attn.o_proj'],
  ['mlp.gate_proj', 'mlp.up_proj'],
  ['mlp.down_proj'],
] as const

/** The halves of a block, each a step of the residual stream, with its groups of layers; `end` is the last group's. */
export const halves = [
  { run: attentionHalf, end: attentionEnd, groups: inputGroups.slice(0, 2) },
  { run: mlpHalf, end: mlpEnd, groups: inputGroups.slice(2) },
] as const

/** A block or half of one, as the transformer has it. */
export type BlockStep = typeof mlpHalf

class Reached extends Error {}

/** Activations of windows of equal length: `values` `[windows · positions · hidden]`. */
export interface WindowBatch {
  readonly values: Float32Array
  /** Positions of a window. */
  readonly length: number
}

/** Block `i`, or a half of it, on some windows; the result has the layout of `x.values`. */
export function runBlock(
  config: TransformerConfig,
  weights: Weights,
  i: number,
  x: WindowBatch,
  { step = block, ...hooks }: Hooks & { step?: BlockStep } = {},
): Float32Array {
  return valuesOf(() => step(config, weights, i, tensorOf(config, x), hooks))
}

/** The end of a half block, from its input and from what goes into its last layer, `[windows · positions, in]`. */
export function endBlock(
  config: TransformerConfig,
  weights: Weights,
  i: number,
  x: WindowBatch,
  last: Float32Array,
  end: typeof mlpEnd,
): Float32Array {
  return valuesOf(() => {
    const before = tensorOf(config, x)
    const [batch, length] = before.shape as [number, number]
    return end(config, weights, i, before, tf.tensor3d(last, [batch, length, last.length / batch / length]))
  })
}

/** What goes into `module` (a whole name) of a half block, `[windows · positions, in]`; no more is computed. */
export function inputOf(
  config: TransformerConfig,
  weights: Weights,
  i: number,
  x: WindowBatch,
  module: string,
  step: BlockStep,
): TfTensor {
  let found: TfTensor | undefined
  try {
    tf.tidy(() => {
      step(config, weights, i, tensorOf(config, x), {
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
