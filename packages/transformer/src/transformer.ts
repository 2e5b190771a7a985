import {
  type LayerSpec,
  type MixtureOfExperts,
  type Norm,
  type ProjectionGroups,
  projectionGroups,
  type TransformerConfig,
} from '@reallm/tensor-io/models'
import { experts, routedModules } from './experts.ts'
import { mix } from './mixer.ts'
import { mlp } from './mlp.ts'
import { type ForwardOptions, type Hooks, normalise, project, type Weights, weightOf } from './modules.ts'
import { crossEntropy, embedding } from './ops.ts'
import { type TfTensor, tf } from './tf.ts'

/**
 * The decoder of every family as pure functions over a record of weights under their Hugging Face names: only the
 * weights that a function uses need to be there, so one block can run with one block in memory. Everything is
 * differentiable in the weights and in `x`; call it inside `tf.tidy` or `tf.variableGrads`.
 */
export type { ForwardOptions, Hooks, Weights }

/** Rows of the embedding: ids int32 `[batch, positions]` → `[batch, positions, hidden]`. */
export function embed(config: TransformerConfig, weights: Weights, ids: TfTensor): TfTensor {
  return tf.tidy(() => {
    const rows = embedding(weightOf(weights, 'model.embed_tokens.weight'), ids)
    return config.embeddingScale === 1 ? rows : rows.mul(config.embeddingScale)
  })
}

/** Layer `i`, one sublayer after the other: `[batch, positions, hidden]` → the same. */
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
  /** `[batch, positions, hidden]` → the same. */
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
export function sublayers({ layerSpecs }: TransformerConfig, layer: number): readonly Sublayer[] {
  const spec = layerSpecs[layer]
  const { mixer, ffn, norms } = spec
  const groups = projectionGroups(spec)
  return [
    sublayer(spec, {
      groups: groups.mixer,
      before: norms.beforeMixer,
      lastInput: (weights, x, options) => mix(mixer, layer, weights, x, options),
      after: norms.afterMixer,
    }),
    ffn.kind === 'experts'
      ? routedSublayer(spec, ffn)
      : sublayer(spec, {
          groups: groups.ffn,
          before: norms.beforeFfn,
          lastInput: (weights, x, options) => mlp(ffn, weights, x, options),
          after: norms.afterFfn,
        }),
  ]
}

interface SublayerParts {
  readonly groups: ProjectionGroups
  readonly before: Norm | undefined
  /** From the normalised input to what goes into the last module. */
  lastInput(weights: Weights, x: TfTensor, options: ForwardOptions): TfTensor
  readonly after: Norm | undefined
}

const namesOf = (groups: ProjectionGroups) => groups.map(group => group.map(({ name }) => name))

const inputOf = (weights: Weights, before: Norm | undefined, x: TfTensor) =>
  before ? normalise(weights, before, x) : x

/** `x + residual · after(y)` */
function added({ scales }: LayerSpec, weights: Weights, after: Norm | undefined, x: TfTensor, y: TfTensor) {
  const branch = after ? normalise(weights, after, y) : y
  return x.add(scales.residual === 1 ? branch : branch.mul(scales.residual)) as TfTensor
}

function sublayer(spec: LayerSpec, { groups, before, lastInput, after }: SublayerParts): Sublayer {
  const { residual } = spec.scales
  const [last] = groups[groups.length - 1]
  const finish = (weights: Weights, x: TfTensor, input: TfTensor, hooks: Hooks = {}) =>
    tf.tidy(() => added(spec, weights, after, x, project(weights, last, input, hooks)))
  return {
    groups: namesOf(groups),
    routed: new Set(),
    last: last.name,
    forward: (weights, x, options = {}) =>
      tf.tidy(() => finish(weights, x, lastInput(weights, inputOf(weights, before, x), options), options)),
    finish: (weights, x, lastInput) => finish(weights, x, lastInput),
    ...(!after && {
      lastOutput: (weights: Weights, x: TfTensor, y: TfTensor) =>
        tf.tidy(() => {
          const added = y.sub(x) as TfTensor
          const branch = residual === 1 ? added : added.div(residual)
          return last.bias ? branch.sub(weightOf(weights, `${last.name}.bias`)) : branch
        }),
    }),
  }
}

function routedSublayer(spec: LayerSpec, ffn: MixtureOfExperts): Sublayer {
  const { beforeFfn, afterFfn } = spec.norms
  return {
    groups: namesOf(projectionGroups(spec).ffn),
    routed: routedModules(ffn),
    forward: (weights, x, options = {}) =>
      tf.tidy(() =>
        added(spec, weights, afterFfn, x, experts(ffn, weights, inputOf(weights, beforeFfn, x), options)),
      ),
  }
}

/** Last norm and output head: `[batch, positions, hidden]` → logits `[batch, positions, vocabulary]`. */
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
  normalise(weights, config.norm, x)

/** Name of the head's weight, `[vocabulary, hidden]`. */
export const headWeight = (config: TransformerConfig): string =>
  config.tiedHead ? 'model.embed_tokens.weight' : 'lm_head.weight'

/** All blocks: ids int32 `[batch, positions]` → the input of `head`, `[batch, positions, hidden]`. */
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
