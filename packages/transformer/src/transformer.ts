import {
  type LayerSpec,
  type MixtureOfExperts,
  type Norm,
  type Parameter,
  type ProjectionGroups,
  projectionGroups,
  type TransformerConfig,
} from '@reallm/tensor-io/models'
import { attention } from './attention.ts'
import { experts, routedModules } from './experts.ts'
import { mix } from './mixer.ts'
import { activate, mlp } from './mlp.ts'
import { type ForwardOptions, type Hooks, normalise, project, type Weights, weightOf } from './modules.ts'
import { crossEntropy, embedding } from './ops.ts'
import { layerInput, perLayerInputs, startOfStream } from './per-layer-inputs.ts'
import { columnsOf, hiddenOf, streamOf, withColumns } from './stream.ts'
import { type TfTensor, tf } from './tf.ts'

/**
 * The decoder of every family as pure functions over a record of weights under their Hugging Face names: only the
 * weights that a function uses need to be there, so one block can run with one block in memory. Everything is
 * differentiable in the weights and in `x`; call it inside `tf.tidy` or `tf.variableGrads`.
 */
export type { ForwardOptions, Hooks, Weights }

/** Rows of the embedding: ids int32 `[batch, positions]` → the stream, `[batch, positions, streamWidth]`. */
export function embed(config: TransformerConfig, weights: Weights, ids: TfTensor): TfTensor {
  return tf.tidy(() => {
    const rows = embedding(weightOf(weights, 'model.embed_tokens.weight'), ids)
    const hidden = (config.embeddingScale === 1 ? rows : rows.mul(config.embeddingScale)) as TfTensor
    return startOfStream(config, hidden, perLayerInputs(config, weights, ids, hidden))
  })
}

/** Layer `i`, one sublayer after the other: `[batch, positions, streamWidth]` → the same. */
export function block(
  config: TransformerConfig,
  weights: Weights,
  i: number,
  x: TfTensor,
  options: ForwardOptions = {},
): TfTensor {
  return tf.tidy(() => sublayers(config, i).reduce((x, sublayer) => sublayer.forward(weights, x, options), x))
}

/** One step of the residual stream. */
export interface Sublayer {
  /** Whole names of its linear modules, in running order; those of a group multiply the same input. */
  readonly groups: readonly (readonly string[])[]
  /** Modules that only some positions reach, those that a router sends there; hooks see these positions alone. */
  readonly routed: ReadonlySet<string>
  /** The module whose output reaches the residual stream, of the last group; undefined where several do. */
  readonly last?: string
  /** `[batch, positions, streamWidth]` → the same. */
  forward(weights: Weights, x: TfTensor, options?: ForwardOptions): TfTensor
  /** What `forward` makes of `x`, given what goes into the last module: `[batch, positions, in]`. */
  finish?(weights: Weights, x: TfTensor, lastInput: TfTensor): TfTensor
  /**
   * What the last module must compute, without its bias, for `forward` to make `y` of `x`. Only where the residual sum
   * alone stands between them.
   */
  lastOutput?(weights: Weights, x: TfTensor, y: TfTensor): TfTensor
}

/** The sublayers of layer `layer`, in the order of the residual stream. */
export function sublayers(config: TransformerConfig, layer: number): readonly Sublayer[] {
  const spec = config.layerSpecs[layer]
  const { ffn, norms, scales, perLayerInput } = spec
  const groups = projectionGroups(spec)
  const around = { config, residual: scales.residual }
  const steps = [
    mixerSublayer(config, layer),
    ffn.kind === 'experts'
      ? routedSublayer(spec, ffn, config)
      : sublayer({
          ...around,
          groups: groups.ffn,
          before: norms.beforeFfn,
          lastInput: (weights, x, options) => mlp(ffn, weights, x, options),
          after: norms.afterFfn,
        }),
  ]
  if (perLayerInput) {
    const { gate, activation, norm } = perLayerInput
    steps.push(
      sublayer({
        ...{ config, residual: 1, groups: groups.perLayerInput, before: undefined, after: norm },
        lastInput: (weights, x, options, stream) =>
          activate(activation, project(weights, gate, x, options)).mul(layerInput(config, layer, stream)),
      }),
    )
  }
  return scales.layer ? [...steps.slice(0, -1), timesFactor(config, steps.at(-1)!, scales.layer)] : steps
}

function mixerSublayer(config: TransformerConfig, layer: number): Sublayer {
  const spec = config.layerSpecs[layer]
  const { mixer, norms, scales } = spec
  const groups = projectionGroups(spec).mixer
  const parts = {
    config,
    residual: scales.residual,
    groups,
    before: norms.beforeMixer,
    after: norms.afterMixer,
  }
  const left = streamOf(config).shared.get(layer)
  if (mixer.kind !== 'attention' || !left) {
    return sublayer({
      ...parts,
      lastInput: (weights, x, options, stream) => mix(mixer, { config, layer, weights, options }, x, stream),
    })
  }
  const end = ending(parts)
  const { finish: _, ...rest } = sublayer({
    ...parts,
    lastInput: (weights, x, options) => attention(mixer, layer, weights, x, options).read,
  })
  return {
    ...rest,
    forward: (weights, stream, options = {}) =>
      tf.tidy(() => {
        const x = inputOf(weights, norms.beforeMixer, hiddenOf(config, stream))
        const { read, keys, values } = attention(mixer, layer, weights, x, options)
        return withColumns(end(weights, stream, read, options), left, tf.concat([keys, values], 2))
      }),
  }
}

/** A sublayer whose hidden states are multiplied by a stored factor. */
function timesFactor(
  config: TransformerConfig,
  { forward, finish, ...step }: Sublayer,
  factor: Parameter,
): Sublayer {
  const times = (weights: Weights, y: TfTensor) =>
    withColumns(y, streamOf(config).hidden, hiddenOf(config, y).mul(weightOf(weights, factor.name)))
  const { lastOutput: _, ...rest } = step
  return {
    ...rest,
    forward: (weights, x, options) => tf.tidy(() => times(weights, forward(weights, x, options))),
    ...(finish && {
      finish: (weights: Weights, x: TfTensor, lastInput: TfTensor) =>
        tf.tidy(() => times(weights, finish(weights, x, lastInput))),
    }),
  }
}

interface SublayerParts {
  readonly config: TransformerConfig
  readonly residual: number
  readonly groups: ProjectionGroups
  readonly before: Norm | undefined
  /** From the normalised hidden states, and the stream, to what goes into the last module. */
  lastInput(weights: Weights, x: TfTensor, options: ForwardOptions, stream: TfTensor): TfTensor
  readonly after: Norm | undefined
}

const namesOf = (groups: ProjectionGroups) => groups.map(group => group.map(({ name }) => name))

const inputOf = (weights: Weights, before: Norm | undefined, x: TfTensor) =>
  before ? normalise(weights, before, x) : x

/** `x + residual · after(y)` */
function added(residual: number, weights: Weights, after: Norm | undefined, x: TfTensor, y: TfTensor) {
  const branch = after ? normalise(weights, after, y) : y
  return x.add(residual === 1 ? branch : branch.mul(residual)) as TfTensor
}

/** From what goes into the last module to the stream behind it. */
function ending({ config, residual, groups, after }: Omit<SublayerParts, 'lastInput'>) {
  const { hidden } = streamOf(config)
  const [last] = groups[groups.length - 1]
  return (weights: Weights, stream: TfTensor, input: TfTensor, hooks: Hooks = {}): TfTensor =>
    tf.tidy(() => {
      const y = project(weights, last, input, hooks)
      return withColumns(stream, hidden, added(residual, weights, after, columnsOf(stream, hidden), y))
    })
}

function sublayer(parts: SublayerParts): Sublayer {
  const { config, residual, groups, before, lastInput, after } = parts
  const { hidden } = streamOf(config)
  const [last] = groups[groups.length - 1]
  const finish = ending(parts)
  return {
    groups: namesOf(groups),
    routed: new Set(),
    last: last.name,
    forward: (weights, stream, options = {}) =>
      tf.tidy(() => {
        const x = inputOf(weights, before, columnsOf(stream, hidden))
        return finish(weights, stream, lastInput(weights, x, options, stream), options)
      }),
    finish: (weights, stream, lastInput) => finish(weights, stream, lastInput),
    ...(!after && {
      lastOutput: (weights: Weights, x: TfTensor, y: TfTensor) =>
        tf.tidy(() => {
          const added = columnsOf(y, hidden).sub(columnsOf(x, hidden)) as TfTensor
          const branch = residual === 1 ? added : added.div(residual)
          return last.bias ? branch.sub(weightOf(weights, `${last.name}.bias`)) : branch
        }),
    }),
  }
}

function routedSublayer(spec: LayerSpec, ffn: MixtureOfExperts, config: TransformerConfig): Sublayer {
  const { beforeFfn, afterFfn } = spec.norms
  const { hidden } = streamOf(config)
  return {
    groups: namesOf(projectionGroups(spec).ffn),
    routed: routedModules(ffn),
    forward: (weights, stream, options = {}) =>
      tf.tidy(() => {
        const x = columnsOf(stream, hidden)
        const y = experts(ffn, weights, inputOf(weights, beforeFfn, x), options)
        return withColumns(stream, hidden, added(spec.scales.residual, weights, afterFfn, x, y))
      }),
  }
}

/** Last norm and output head: `[batch, positions, streamWidth]` → logits `[batch, positions, vocabulary]`. */
export function head(config: TransformerConfig, weights: Weights, x: TfTensor, hooks: Hooks = {}): TfTensor {
  return tf.tidy(() => {
    const module = { name: 'lm_head', bias: false }
    const y = project(weights, module, finalNorm(config, weights, x), hooks, headWeight(config))
    return logits(config, y)
  })
}

/** Logits of the head's products: scaled and squashed as the model wants them. */
export function logits({ logitScale, logitSoftcap }: TransformerConfig, y: TfTensor): TfTensor {
  const scaled = logitScale === 1 ? y : y.mul(logitScale)
  return logitSoftcap === undefined ? scaled : tf.tanh(scaled.div(logitSoftcap)).mul(logitSoftcap)
}

/** The norm after the last layer. */
export const finalNorm = (config: TransformerConfig, weights: Weights, x: TfTensor): TfTensor =>
  normalise(weights, config.norm, hiddenOf(config, x))

/** Name of the head's weight, `[vocabulary, hidden]`. */
export const headWeight = (config: TransformerConfig): string =>
  config.tiedHead ? 'model.embed_tokens.weight' : 'lm_head.weight'

/** All blocks: ids int32 `[batch, positions]` → the input of `head`, `[batch, positions, streamWidth]`. */
export function hiddenStates(
  config: TransformerConfig,
  weights: Weights,
  ids: TfTensor,
  options: ForwardOptions = {},
): TfTensor {
  return tf.tidy(() => {
    let x = embed(config, weights, ids)
    for (let i = 0; i < config.layers; i++) {
      const next = block(config, weights, i, x, options)
      x.dispose()
      x = next
    }
    return x
  })
}

/**
 * The whole model: ids int32 `[batch, positions]` → logits `[batch, positions, vocabulary]`.
 *
 * @example
 * const logits = tf.tidy(() => forward(config, weights, tf.tensor2d([[1, 2, 3]], [1, 3], 'int32')))
 */
export function forward(
  config: TransformerConfig,
  weights: Weights,
  ids: TfTensor,
  options: ForwardOptions = {},
): TfTensor {
  return tf.tidy(() => head(config, weights, hiddenStates(config, weights, ids, options), options))
}

/** Mean next-token cross-entropy of ids `[batch, positions]` over `batch · (positions − 1)` predictions, in nats. */
export function nextTokenLoss(
  config: TransformerConfig,
  weights: Weights,
  ids: TfTensor,
  hooks: Hooks = {},
): TfTensor {
  return tf.tidy(() => {
    const [rows, length] = ids.shape as [number, number]
    const x = hiddenStates(config, weights, ids.slice([0, 0], [rows, length - 1]), hooks)
    const predicted = head(config, weights, x, hooks).reshape([-1, config.vocabSize])
    const labels = ids.slice([0, 1], [rows, length - 1]).reshape([-1])
    return crossEntropy(predicted, labels).mean() as TfTensor
  })
}
