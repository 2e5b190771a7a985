import { ReallmError } from '../core/errors.ts'
import type { Rope } from './rope.ts'

/** A linear layer of the model: `y = x Wᵀ (+ bias)`. */
export interface LinearModule {
  /** Whole, in Hugging Face's words (`model.layers.0.self_attn.q_proj`); its weight is `<name>.weight`. */
  readonly name: string
  readonly shape: readonly [out: number, input: number]
  readonly bias: boolean
}

/** What a sublayer needs of a linear layer's output: rows `from` to `to` of its matrix, all of them unless it is fused. */
export interface Projection {
  readonly module: LinearModule
  readonly from: number
  readonly to: number
}

/** RMS norm, `x / √(mean x² + eps) · (offset + weight)`, over `width` values at a time. */
export interface Norm {
  readonly name: string
  readonly width: number
  readonly eps: number
  readonly offset: 0 | 1
}

/** A tensor that is neither a norm's nor a linear layer's, by its whole name. */
export interface Parameter {
  readonly name: string
  readonly shape: readonly number[]
}

/**
 * A convolution over positions, each channel by itself: `y[t] = Σ weight[j] · x[t − kernel + 1 + j]`, nothing lying before
 * the first position.
 */
export interface CausalConv {
  readonly channels: number
  /** Positions that an output sees, its own included. */
  readonly kernel: number
  /** `[channels, 1, kernel]` */
  readonly weight: Parameter
  /** `[channels]` */
  readonly bias: Parameter | undefined
}

/** Causal attention; heads share keys and values in groups of `heads / kvHeads`. */
export interface Attention {
  readonly kind: 'attention'
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  readonly query: Projection
  readonly key: Projection
  readonly value: Projection
  readonly output: LinearModule
  /** Norms of queries and keys: of each head, or of all heads together where that is their width. */
  readonly qkNorm: { readonly query: Norm; readonly key: Norm; readonly afterRope: boolean } | undefined
  readonly rope: Rope | undefined
  /** How many positions it sees, itself included; undefined for all. */
  readonly window: number | undefined
  /** Scores are squashed to ± this many by tanh. */
  readonly softcap: number | undefined
  /** Factor of the scores. */
  readonly scale: number
  /** The rows of each head's query are followed by as many of a gate: what the head reads counts `sigmoid(gate)` times. */
  readonly gated: boolean
  /** A score for each head, `[heads]`, that takes its share of the softmax and gives nothing. */
  readonly sinks: Parameter | undefined
  /** Values are divided by their root mean square, a head at a time, with this epsilon. */
  readonly valueNormEps?: number | undefined
}

/** Attention to the keys and values of an earlier layer, as that layer's queries see them. */
export interface SharedAttention {
  readonly kind: 'shared-attention'
  /** Whose keys and values. */
  readonly layer: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  readonly query: Projection
  readonly output: LinearModule
  readonly queryNorm: Norm | undefined
  readonly rope: Rope | undefined
  readonly window: number | undefined
  readonly scale: number
}

/** A short convolution between two gates (LFM2): `output(after · conv(before · x))`. */
export interface ShortConv {
  readonly kind: 'short-conv'
  readonly before: Projection
  readonly after: Projection
  readonly value: Projection
  readonly conv: CausalConv
  readonly output: LinearModule
}

/**
 * The gated delta rule (arXiv 2412.06464). Query, key and value come out of one convolution and SiLU, queries and keys of
 * length 1. Each value head keeps a matrix `S`, `[keyDim, valueDim]`, and reads `Sᵀ q / √keyDim` after
 * `S ← d · S; S ← S + k (b (v − Sᵀ k))ᵀ`, where `d = exp(−exp(aLog) · softplus(decay + dtBias))` and `b = sigmoid(beta)`.
 * Value heads share keys and queries in groups of `heads / keyHeads`. What is read goes through `norm`, a head at a time,
 * times `silu(gate)`.
 */
export interface GatedDeltaNet {
  readonly kind: 'gated-delta-net'
  readonly keyHeads: number
  readonly heads: number
  readonly keyDim: number
  readonly valueDim: number
  /** Queries, keys and values side by side, as the convolution takes them. */
  readonly queryKeyValue: Projection
  readonly gate: Projection
  readonly beta: Projection
  readonly decay: Projection
  readonly conv: CausalConv
  /** `[heads]` each. */
  readonly aLog: Parameter
  readonly dtBias: Parameter
  readonly norm: Norm
  readonly output: LinearModule
}

/**
 * Mamba-2 (arXiv 2405.21060). Values, `B` and `C` come out of one convolution and SiLU. Each head keeps a matrix `S`,
 * `[stateDim, headDim]`, and reads `Sᵀ C + skip · x` after `S ← exp(−exp(aLog) · dt) · S + B (dt · x)ᵀ`, where
 * `dt = softplus(step + dtBias)`. Heads share `B` and `C` in groups of `heads / groups`. What is read, times `silu(gate)`,
 * goes through `norm`, the mean square taken over each group.
 */
export interface Mamba2 {
  readonly kind: 'mamba2'
  readonly heads: number
  readonly headDim: number
  readonly groups: number
  readonly stateDim: number
  readonly gate: Projection
  /** Values, `B` and `C` side by side, as the convolution takes them. */
  readonly valueKeyQuery: Projection
  readonly step: Projection
  readonly conv: CausalConv
  /** `[heads]` each. */
  readonly aLog: Parameter
  readonly dtBias: Parameter
  readonly skip: Parameter
  readonly norm: Norm
  readonly output: LinearModule
}

/** The activations of an MLP. */
export const activations = ['silu', 'gelu', 'gelu_pytorch_tanh'] as const
/** The name of an MLP's activation. */
export type Activation = (typeof activations)[number]

/** `down(activation(gate(x)) · up(x))` */
export interface GatedMlp {
  readonly kind: 'gated-mlp'
  readonly activation: Activation
  /** Instead of the activation: `gate · σ(alpha · gate) · (up + 1)`, gates cut off above `limit` and ups beyond ± `limit`. */
  readonly clamp: { readonly alpha: number; readonly limit: number } | undefined
  readonly width: number
  readonly gate: Projection
  readonly up: Projection
  readonly down: LinearModule
}

/** Matrices of all experts in one stored tensor. */
export interface ExpertStack {
  /** What it holds of each expert, one after the other; row by row in turns where `interleaved`. */
  readonly parts: readonly ('gate' | 'up' | 'down')[]
  /** `[experts, rows, columns]`, or `[experts, columns, rows]` where `transposed`. */
  readonly weight: string
  /** `[experts, rows]` */
  readonly bias: string | undefined
  readonly transposed: boolean
  readonly interleaved: boolean
}

/**
 * `Σ share(x, e) · expert_e(x)` over the experts that a position chooses: those with the highest scores of the router.
 * Where there is a shared expert, every position reaches it besides.
 */
export interface MixtureOfExperts {
  readonly kind: 'experts'
  /** Gives each position a score for each expert, `[experts, hidden]`; it is never compressed. */
  readonly router: LinearModule
  /** How many experts a position chooses. */
  readonly chosen: number
  /** Shares are the softmax of the scores of the chosen experts, or of all. */
  readonly softmaxOver: 'chosen' | 'all'
  readonly experts: readonly GatedMlp[]
  /** How a Hugging Face directory stores the experts' matrices; none where each is a tensor of its own. */
  readonly stacks: readonly ExpertStack[]
  readonly shared: GatedMlp | undefined
}

/** What moves information between positions. */
export type Mixer = Attention | SharedAttention | ShortConv | GatedDeltaNet | Mamba2
/** What works on each position alone. */
export type FeedForward = GatedMlp | MixtureOfExperts

/**
 * A second embedding of the tokens, `width` values for each layer: those of a table and a projection of the (scaled)
 * embedding, `(norm(projection(x) / √hidden) + √width · table[id]) / √2`.
 */
export interface PerLayerInputs {
  readonly width: number
  /** `[vocabulary, layers · width]` */
  readonly table: Parameter
  readonly projection: LinearModule
  /** Of each layer's values. */
  readonly norm: Norm
}

/**
 * A layer as data. Each of its two sublayers is a step of the residual stream,
 * `x + scales.residual · after(sublayer(before(x)))`, a norm that is undefined being left out.
 */
export interface LayerSpec {
  readonly mixer: Mixer
  readonly ffn: FeedForward
  readonly norms: {
    readonly beforeMixer: Norm | undefined
    readonly afterMixer: Norm | undefined
    readonly beforeFfn: Norm | undefined
    readonly afterFfn: Norm | undefined
  }
  readonly scales: {
    readonly residual: number
    /** A factor of the hidden states behind the layer, `[1]`. */
    readonly layer?: Parameter
  }
  /** A third sublayer, after the other two. */
  readonly perLayerInput?: PerLayerInput
}

/** `projection(activation(gate(x)) · input)`, the input being the layer's own part of a second embedding of the tokens. */
export interface PerLayerInput {
  readonly activation: Activation
  readonly gate: LinearModule
  readonly projection: LinearModule
  /** After it. */
  readonly norm: Norm
}

/**
 * Linear layers of a sublayer in running order; those of a group multiply the same input. The last is the output's, except
 * of a mixture of experts, where every expert has an output of its own.
 */
export type ProjectionGroups = readonly (readonly LinearModule[])[]

/** The projection groups of a layer's sublayers. */
export function projectionGroups({ mixer, ffn, perLayerInput }: LayerSpec): {
  readonly mixer: ProjectionGroups
  readonly ffn: ProjectionGroups
  readonly perLayerInput: ProjectionGroups
} {
  return {
    perLayerInput: perLayerInput ? [[perLayerInput.gate], [perLayerInput.projection]] : [],
    mixer: [modulesOf(...projectionsOf(mixer)), [mixer.output]],
    ffn: mlpsOf(ffn).flatMap(({ gate, up, down }) => [modulesOf(gate, up), [down]]),
  }
}

/**
 * The MLP of a layer, for what knows no mixtures of experts.
 *
 * @param what names it: `this backend`
 * @throws `unsupported` naming the router of a mixture of experts
 */
export function gatedMlpOf(ffn: FeedForward, what: string): GatedMlp {
  if (ffn.kind === 'gated-mlp') return ffn
  throw new ReallmError('unsupported', `${ffn.router.name}: ${what} knows no mixtures of experts`)
}

/** The gated MLPs of a sublayer: one, or experts and what they share. */
export const mlpsOf = (ffn: FeedForward): readonly GatedMlp[] =>
  ffn.kind === 'gated-mlp' ? [ffn] : ffn.shared ? [...ffn.experts, ffn.shared] : ffn.experts

function modulesOf(...projections: Projection[]): LinearModule[] {
  const modules = projections.map(({ module }) => module)
  return modules.filter(({ name }, i) => modules.findIndex(other => other.name === name) === i)
}

/** What a mixer makes of its input first. */
export function projectionsOf(mixer: Mixer): Projection[] {
  switch (mixer.kind) {
    case 'attention':
      return [mixer.query, mixer.key, mixer.value]
    case 'shared-attention':
      return [mixer.query]
    case 'short-conv':
      return [mixer.before, mixer.after, mixer.value]
    case 'gated-delta-net':
      return [mixer.queryKeyValue, mixer.gate, mixer.beta, mixer.decay]
    case 'mamba2':
      return [mixer.gate, mixer.valueKeyQuery, mixer.step]
  }
}

/** The norms of a layer, those around its sublayers first. */
export function normsOf({ mixer, norms, perLayerInput }: LayerSpec): Norm[] {
  const { beforeMixer, afterMixer, beforeFfn, afterFfn } = norms
  const around = [beforeMixer, afterMixer, beforeFfn, afterFfn, perLayerInput?.norm]
  return [...around, ...mixerNorms(mixer)].filter(norm => norm !== undefined)
}

function mixerNorms(mixer: Mixer): (Norm | undefined)[] {
  switch (mixer.kind) {
    case 'attention':
      return [mixer.qkNorm?.query, mixer.qkNorm?.key]
    case 'shared-attention':
      return [mixer.queryNorm]
    case 'short-conv':
      return []
    case 'gated-delta-net':
    case 'mamba2':
      return [mixer.norm]
  }
}

/** Names and shapes of a layer's tensors that are neither of `projectionGroups` nor of norms. */
export function otherTensors({ mixer, ffn, scales }: LayerSpec): Map<string, readonly number[]> {
  const ofLayer = scales.layer ? [scales.layer] : []
  const parameters = [...mixerParameters(mixer), ...routerParameters(ffn), ...ofLayer]
  return new Map(parameters.map(({ name, shape }) => [name, shape]))
}

function routerParameters(ffn: FeedForward): Parameter[] {
  if (ffn.kind !== 'experts') return []
  const { name, shape, bias } = ffn.router
  const weight = { name: `${name}.weight`, shape }
  return bias ? [weight, { name: `${name}.bias`, shape: [shape[0]] }] : [weight]
}

/** What a mixer has beside linear layers and norms. */
export function mixerParameters(mixer: Mixer): Parameter[] {
  switch (mixer.kind) {
    case 'attention':
      return mixer.sinks ? [mixer.sinks] : []
    case 'shared-attention':
      return []
    case 'short-conv':
      return ofConv(mixer.conv)
    case 'gated-delta-net':
      return [...ofConv(mixer.conv), mixer.aLog, mixer.dtBias]
    case 'mamba2':
      return [...ofConv(mixer.conv), mixer.aLog, mixer.dtBias, mixer.skip]
  }
}

const ofConv = ({ weight, bias }: CausalConv): Parameter[] => (bias ? [weight, bias] : [weight])

/** The layers that attend, as attention. */
export const attentionsOf = (layers: readonly LayerSpec[]): Attention[] =>
  layers.flatMap(({ mixer }) => (mixer.kind === 'attention' ? [mixer] : []))

/**
 * The attention of a layer, for what knows no other mixers.
 *
 * @param what names it: `this backend`
 * @throws `unsupported` naming the layer's output
 */
export function attentionOf(mixer: Mixer, what: string): Attention {
  if (mixer.kind === 'attention') return mixer
  throw new ReallmError('unsupported', `${mixer.output.name}: ${what} knows no mixer ${mixer.kind}`)
}
