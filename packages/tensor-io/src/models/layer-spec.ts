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
}

export const activations = ['silu', 'gelu', 'gelu_pytorch_tanh'] as const
export type Activation = (typeof activations)[number]

/** `down(activation(gate(x)) · up(x))` */
export interface GatedMlp {
  readonly kind: 'gated-mlp'
  readonly activation: Activation
  readonly width: number
  readonly gate: Projection
  readonly up: Projection
  readonly down: LinearModule
}

/** What moves information between positions. */
export type Mixer = Attention
/** What works on each position alone. */
export type FeedForward = GatedMlp

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
  readonly scales: { readonly residual: number }
}

/** Linear layers of a sublayer in running order; those of a group multiply the same input, the last is the output's. */
export type ProjectionGroups = readonly (readonly LinearModule[])[]

/** The projection groups of a layer's sublayers. */
export function projectionGroups({ mixer, ffn }: LayerSpec): {
  readonly mixer: ProjectionGroups
  readonly ffn: ProjectionGroups
} {
  return {
    mixer: [modulesOf(mixer.query, mixer.key, mixer.value), [mixer.output]],
    ffn: [modulesOf(ffn.gate, ffn.up), [ffn.down]],
  }
}

function modulesOf(...projections: Projection[]): LinearModule[] {
  const modules = projections.map(({ module }) => module)
  return modules.filter(({ name }, i) => modules.findIndex(other => other.name === name) === i)
}

/** The norms of a layer. */
export function normsOf({ mixer, norms }: LayerSpec): Norm[] {
  const all = [norms.beforeMixer, norms.afterMixer, norms.beforeFfn, norms.afterFfn]
  return [...all, mixer.qkNorm?.query, mixer.qkNorm?.key].filter(norm => norm !== undefined)
}
