import { ReallmError } from '@reallm/tensor-io'
import type { Rope, TransformerConfig } from '@reallm/tensor-io/models'
import type { KvCache } from './kv-cache.ts'
import { attend, crossEntropy, embedding, linear, rmsNorm, rotate, swiglu } from './ops.ts'
import { type TfTensor, tf } from './tf.ts'

/**
 * The decoder of every family as pure functions over a record of weights under their Hugging Face names: only the
 * weights that a function uses need to be there, so one block can run with one block in memory. Everything is
 * differentiable in the weights and in `x`; call it inside `tf.tidy` or `tf.variableGrads`.
 */
export type Weights = Readonly<Record<string, TfTensor>>

/** Ways into the forward pass, by module name (`model.layers.0.self_attn.q_proj`, …, `lm_head`). */
export interface Hooks {
  /** Sees what goes into each linear layer, `[batch, positions, in]`; the tensor lives for the call only. */
  onInput?(module: string, x: TfTensor): void
  /** Computes a linear layer in place of `base()`, which is `x Wᵀ`; a bias is added afterwards. */
  linear?(module: string, x: TfTensor, base: () => TfTensor): TfTensor
}

export interface ForwardOptions extends Hooks {
  /** Keys and values of what came before; what comes now is appended. */
  readonly cache?: KvCache | undefined
}

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
  /**
   * Whole names of its linear modules, in running order; those of a group multiply the same input. The output of the
   * last group is what reaches the residual stream.
   */
  readonly groups: readonly (readonly string[])[]
  /** `[batch, positions, hidden]` → the same. */
  forward(weights: Weights, x: TfTensor, options?: ForwardOptions): TfTensor
  /** What `forward` makes of `x`, given what goes into the last group: `[batch, positions, in]`. */
  finish?(weights: Weights, x: TfTensor, lastInput: TfTensor): TfTensor
  /**
   * What the last module must compute, without its bias, for `forward` to make `y` of `x`. Only where the residual sum
   * alone stands between them.
   */
  lastOutput?(weights: Weights, x: TfTensor, y: TfTensor): TfTensor
}

/** The sublayers of layer `layer`, in the order of the residual stream. */
export function sublayers(config: TransformerConfig, layer: number): readonly Sublayer[] {
  const name = `model.layers.${layer}`
  const [self, ffn] = [`${name}.self_attn`, `${name}.mlp`]
  const sandwich = config.sandwichNorms
  return [
    sublayer(config, {
      groups: [[`${self}.q_proj`, `${self}.k_proj`, `${self}.v_proj`], [`${self}.o_proj`]],
      normBefore: `${name}.input_layernorm`,
      lastInput: (weights, x, options) => attention(config, weights, layer, x, options),
      normAfter: sandwich ? `${name}.post_attention_layernorm` : undefined,
    }),
    sublayer(config, {
      groups: [[`${ffn}.gate_proj`, `${ffn}.up_proj`], [`${ffn}.down_proj`]],
      normBefore: `${name}.${sandwich ? 'pre_feedforward_layernorm' : 'post_attention_layernorm'}`,
      lastInput: (weights, x, options) => mlp(config, weights, ffn, x, options),
      normAfter: sandwich ? `${name}.post_feedforward_layernorm` : undefined,
    }),
  ]
}

interface SublayerParts {
  readonly groups: Sublayer['groups']
  readonly normBefore: string
  /** From the normalised input to what goes into the last module. */
  lastInput(weights: Weights, x: TfTensor, options: ForwardOptions): TfTensor
  readonly normAfter: string | undefined
}

function sublayer(config: TransformerConfig, parts: SublayerParts): Sublayer {
  const { groups, normBefore, lastInput, normAfter } = parts
  const [last] = groups[groups.length - 1]
  const finish = (weights: Weights, x: TfTensor, input: TfTensor, hooks: Hooks = {}) =>
    tf.tidy(() => {
      const branch = project(weights, last, input, hooks)
      return x.add(
        normAfter === undefined ? branch : normalise(config, weights, normAfter, branch),
      ) as TfTensor
    })
  return {
    groups,
    forward: (weights, x, options = {}) =>
      tf.tidy(() => {
        const normed = normalise(config, weights, normBefore, x)
        return finish(weights, x, lastInput(weights, normed, options), options)
      }),
    finish: (weights, x, lastInput) => finish(weights, x, lastInput),
    ...(normAfter === undefined && {
      lastOutput: (weights: Weights, x: TfTensor, y: TfTensor) =>
        tf.tidy(() => {
          const bias = weights[`${last}.bias`]
          const branch = y.sub(x) as TfTensor
          return bias ? branch.sub(bias) : branch
        }),
    }),
  }
}

/** Last norm and output head: `[batch, positions, hidden]` → logits `[batch, positions, vocabulary]`. */
export function head(config: TransformerConfig, weights: Weights, x: TfTensor, hooks: Hooks = {}): TfTensor {
  return tf.tidy(() => {
    const logits = project(weights, 'lm_head', finalNorm(config, weights, x), hooks, headWeight(config))
    const limit = config.logitSoftcap
    return limit === undefined ? logits : tf.tanh(logits.div(limit)).mul(limit)
  })
}

/** The norm behind the last block. */
export const finalNorm = (config: TransformerConfig, weights: Weights, x: TfTensor): TfTensor =>
  normalise(config, weights, 'model.norm', x)

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
    const logits = head(config, weights, x, hooks).reshape([-1, config.vocabSize])
    const labels = ids.slice([0, 1], [rows, length - 1]).reshape([-1])
    return crossEntropy(logits, labels).mean() as TfTensor
  })
}

/** Queries that attend at one time. */
const attentionChunk = 128

/** What the heads of block `i` read, `[batch, positions, heads · headDim]`. */
function attention(
  config: TransformerConfig,
  weights: Weights,
  i: number,
  x: TfTensor,
  options: ForwardOptions,
): TfTensor {
  const { heads, kvHeads, headDim, attentionScale } = config
  const [batch, length] = x.shape
  const name = `model.layers.${i}.self_attn`
  const past = options.cache?.length(i) ?? 0
  const turns = rotation(config.ropes[i], past, length)
  const split = (part: 'q' | 'k' | 'v', count: number) => {
    const y = project(weights, `${name}.${part}_proj`, x, options)
    const byHead = y.reshape([batch, length, count, headDim])
    if (part === 'v') return byHead.transpose([0, 2, 1, 3])
    const normed = config.qkNorm ? normalise(config, weights, `${name}.${part}_norm`, byHead) : byHead
    return rotate(normed.transpose([0, 2, 1, 3]), ...turns)
  }
  const q = split('q', heads).mul(attentionScale)
  let k = split('k', kvHeads).reshape([batch * kvHeads, length, headDim])
  let v = split('v', kvHeads).reshape([batch * kvHeads, length, headDim])
  if (options.cache) [k, v] = options.cache.append(i, k, v)

  // By chunks of queries, each with the keys that it may see: most of what lies ahead is never computed.
  const seen = (x: TfTensor, keys: number) =>
    keys === x.shape[1] ? x : x.slice([0, 0, 0], [batch * kvHeads, keys, headDim])
  const chunks: TfTensor[] = []
  for (let from = 0; from < length; from += attentionChunk) {
    const rows = Math.min(attentionChunk, length - from)
    const keys = past + from + rows
    // The heads that share one key-value head are rows of one product: [batch · kvHeads, group · rows, headDim].
    const attended = tf.tidy(() => {
      const chunk = rows === length ? q : q.slice([0, 0, from, 0], [batch, heads, rows, headDim])
      const grouped = chunk.reshape([batch * kvHeads, -1, headDim])
      return attend(grouped, seen(k, keys), seen(v, keys), {
        softcap: config.attentionSoftcap,
        hide: scores => hide(scores, rows, past + from, config.windows[i]),
      })
    })
    chunks.push(attended.reshape([batch, heads, rows, headDim]))
  }
  const mixed = chunks.length === 1 ? chunks[0] : tf.concat(chunks, 2)
  return mixed.transpose([0, 2, 1, 3]).reshape([batch, length, heads * headDim])
}

/** The gated product, `[batch, positions, inner]`. */
function mlp(config: TransformerConfig, weights: Weights, name: string, x: TfTensor, hooks: Hooks): TfTensor {
  const gate = project(weights, `${name}.gate_proj`, x, hooks)
  const up = project(weights, `${name}.up_proj`, x, hooks)
  return config.activation === 'silu' ? swiglu(gate, up) : gelu(config, gate).mul(up)
}

function gelu({ activation }: TransformerConfig, x: TfTensor): TfTensor {
  const gate =
    activation === 'gelu'
      ? tf.erf(x.mul(Math.SQRT1_2))
      : tf.tanh(x.add(x.mul(x).mul(x).mul(0.044715)).mul(Math.sqrt(2 / Math.PI)))
  return x.mul(0.5).mul(gate.add(1))
}

/** One linear layer, by way of the hooks. */
function project(
  weights: Weights,
  module: string,
  x: TfTensor,
  hooks: Hooks,
  stored = `${module}.weight`,
): TfTensor {
  hooks.onInput?.(module, x)
  const base = () => linear(x, weightOf(weights, stored))
  const y = hooks.linear ? hooks.linear(module, x, base) : base()
  const bias = weights[`${module}.bias`]
  return bias ? y.add(bias) : y
}

function normalise(config: TransformerConfig, weights: Weights, name: string, x: TfTensor): TfTensor {
  const weight = weightOf(weights, `${name}.weight`)
  return rmsNorm(x, config.normOffset ? weight.add(config.normOffset) : weight, config.normEps)
}

/** cos and sin, `[length, headDim / 2]`, of positions `past` and on. */
function rotation({ inverseFrequencies, scale }: Rope, past: number, length: number): [TfTensor, TfTensor] {
  const half = inverseFrequencies.length
  const cos = new Float32Array(length * half)
  const sin = new Float32Array(length * half)
  for (let p = 0; p < length; p++) {
    for (let j = 0; j < half; j++) {
      const angle = (past + p) * inverseFrequencies[j]
      cos[p * half + j] = scale * Math.cos(angle)
      sin[p * half + j] = scale * Math.sin(angle)
    }
  }
  return [tf.tensor(cos, [length, half]), tf.tensor(sin, [length, half])]
}

/**
 * Hides from each query what comes after it, and what lies `window` or more positions before it; scores
 * `[groups, heads of the group · length, all positions]`.
 */
function hide(scores: TfTensor, length: number, past: number, window: number | undefined): TfTensor {
  const all = scores.shape[2]!
  if (length === 1 && (window === undefined || all <= window)) return scores
  const ahead = tf.range(0, all).sub(tf.range(past, past + length).expandDims(1))
  let hidden = ahead.greater(0)
  if (window !== undefined && all > window) hidden = tf.logicalOr(hidden, ahead.lessEqual(-window))
  const mask = hidden.cast('float32').mul(-1e9)
  return scores.reshape([-1, length, all]).add(mask).reshape(scores.shape)
}

function weightOf(weights: Weights, name: string): TfTensor {
  const weight = weights[name]
  if (!weight) throw new ReallmError('not-found', `the forward pass needs ${name}, which was not given`)
  return weight
}
