import type { Matrix } from '@reallm/tensor-io'
import {
  block,
  head,
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

class Reached extends Error {}

/** Block `i` on one window: `x` `[positions · hidden]` → the same. */
export function runBlock(
  config: TransformerConfig,
  weights: Weights,
  i: number,
  x: Float32Array,
  onInput?: (module: string, x: TfTensor) => void,
): Float32Array {
  return valuesOf(() => block(config, weights, i, windowTensor(config, x), onInput ? { onInput } : {}))
}

/** What goes into `module` (a whole name) on one window, `[positions, in]`; the block is computed no further. */
export function inputOf(
  config: TransformerConfig,
  weights: Weights,
  i: number,
  x: Float32Array,
  module: string,
): TfTensor {
  let found: TfTensor | undefined
  try {
    tf.tidy(() => {
      block(config, weights, i, windowTensor(config, x), {
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

/** What the output head multiplies, `[positions, hidden]`; `weights` hold the last norm. */
export function headInput(config: TransformerConfig, weights: Weights, x: Float32Array): TfTensor {
  let found: TfTensor | undefined
  tf.tidy(() => {
    head(config, weights, windowTensor(config, x), {
      linear(_module, normed) {
        found = tf.keep(normed.reshape([-1, config.hiddenSize]).clone())
        return normed
      },
    })
  })
  return found!
}

const windowTensor = (config: TransformerConfig, x: Float32Array): TfTensor =>
  tf.tensor3d(x, [1, x.length / config.hiddenSize, config.hiddenSize])

/** Sums of outer products over windows: `Σ aᵀb`, `[columns of a, columns of b]`. */
export interface Moment {
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
    add(a, b) {
      positions += a.shape[0]
      const old = sum
      sum = tf.tidy(() => {
        const product = tf.matMul(a.transpose(), b)
        return tf.keep(old ? old.add(product) : product)
      })
      old?.dispose()
    },
    take() {
      const [rows, cols] = sum!.shape as [number, number]
      const data = valuesOf(() => sum!.mul(1 / positions))
      sum!.dispose()
      return { rows, cols, data: data.slice() }
    },
  }
}
