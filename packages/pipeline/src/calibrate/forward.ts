import {
  block,
  type Hooks,
  head,
  type Sublayer,
  streamWidth,
  sublayers,
  type TfTensor,
  type TransformerConfig,
  tf,
  valuesOf,
  type Weights,
} from '@reallm/transformer'

/** The projection group that a module (a whole name) of layer `i` belongs to, called by its first member. */
export function groupOf(config: TransformerConfig, i: number, module: string): string {
  const groups = sublayers(config, i).flatMap(({ groups }) => groups)
  return groups.find(group => group.includes(module))![0]
}

/** Modules of layer `i` that only some positions reach. */
export const routedModules = (config: TransformerConfig, i: number): ReadonlySet<string> =>
  new Set(sublayers(config, i).flatMap(({ routed }) => [...routed]))

class Reached extends Error {}

/** The stream of sequences of equal length: `values` `[sequences · positions · streamWidth]`. */
export interface SequenceBatch {
  readonly values: Float32Array
  /** Positions of a sequence. */
  readonly length: number
}

/** Layer `i` on some sequences; the result has the layout of `x.values`. */
export const runLayer = (
  config: TransformerConfig,
  weights: Weights,
  i: number,
  x: SequenceBatch,
): Float32Array => valuesOf(() => block(config, weights, i, tensorOf(config, x)))

/** A sublayer on some sequences. */
export const runSublayer = (
  config: TransformerConfig,
  weights: Weights,
  sublayer: Sublayer,
  x: SequenceBatch,
  hooks: Hooks = {},
): Float32Array => valuesOf(() => sublayer.forward(weights, tensorOf(config, x), hooks))

/** A sublayer from its input and from the input of its last group, `[sequences · positions, in]`, where it can. */
export function finishSublayer(
  config: TransformerConfig,
  weights: Weights,
  sublayer: Sublayer,
  x: SequenceBatch,
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

/**
 * The input of `module` (a whole name) of a sublayer, `[sequences · positions, in]`; no more is computed. Undefined where no
 * position reaches it.
 */
export function inputOf(
  config: TransformerConfig,
  weights: Weights,
  sublayer: Sublayer,
  x: SequenceBatch,
  module: string,
): TfTensor | undefined {
  let found: TfTensor | undefined
  try {
    tf.tidy(() => {
      sublayer.forward(weights, tensorOf(config, x), {
        only: module,
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
  return found
}

/** The head's input, `[sequences · positions, hidden]`; `weights` hold the last norm. */
export function headInput(config: TransformerConfig, weights: Weights, x: SequenceBatch): TfTensor {
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

function tensorOf(config: TransformerConfig, { values, length }: SequenceBatch): TfTensor {
  const width = streamWidth(config)
  return tf.tensor3d(values, [values.length / width / length, length, width])
}
