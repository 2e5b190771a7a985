import { ReallmError } from '../../core/errors.ts'
import type { ConfigReader } from '../config-reader.ts'
import type {
  Attention,
  ExpertStack,
  GatedMlp,
  LayerSpec,
  LinearModule,
  MixtureOfExperts,
  Norm,
  Projection,
  SharedAttention,
} from '../layer-spec.ts'

// Parts that families are put together from, as Llama has them except for what is asked.

export const nameOf = (i: number, part: string) => `model.layers.${i}.${part}`

export const linear = (name: string, out: number, input: number, bias: boolean): LinearModule => ({
  name,
  shape: [out, input],
  bias,
})

/** Projections of `sizes` rows: of a module each, or side by side in one. */
export function projections(
  i: number,
  parts: readonly string[] | string,
  sizes: readonly number[],
  input: number,
  bias: boolean,
): Projection[] {
  if (typeof parts !== 'string') {
    return sizes.map((size, k) => ({
      module: linear(nameOf(i, parts[k]), size, input, bias),
      from: 0,
      to: size,
    }))
  }
  const ends = sizes.map((_, k) => sizes.slice(0, k + 1).reduce((sum, size) => sum + size, 0))
  const module = linear(nameOf(i, parts), ends[ends.length - 1], input, bias)
  return sizes.map((size, k) => ({ module, from: ends[k] - size, to: ends[k] }))
}

export interface AttentionOptions
  extends Partial<Pick<Attention, 'softcap' | 'scale' | 'headDim' | 'kvHeads' | 'valueNormEps'>> {
  /** Keys are the values too, before their norms. */
  readonly keysAreValues?: boolean
  /** The window of a layer that slides. */
  readonly window?: number | undefined
  /** Whether it has a rotary embedding; default true. */
  readonly hasRope?: boolean
  readonly bias?: { readonly qkv: boolean; readonly out: boolean }
  /** One matrix for q, k and v. */
  readonly fused?: string
  readonly output?: string
  readonly gated?: boolean
  readonly qkNorm?: {
    readonly over: 'head' | 'all'
    readonly names?: readonly [query: string, key: string]
    readonly afterRope?: boolean
    readonly offset?: 0 | 1
  }
  /** A score for each head that takes its share of the softmax. */
  readonly sinks?: boolean
}

export function attention(c: ConfigReader, i: number, options: AttentionOptions = {}): Attention {
  const {
    hasRope = true,
    fused,
    output = 'self_attn.o_proj',
    qkNorm,
    window,
    softcap,
    gated = false,
  } = options
  const { headDim = c.headDim } = options
  const hidden = c.count('hidden_size')
  const heads = c.count('num_attention_heads')
  const kvHeads = options.kvHeads ?? c.count('num_key_value_heads', heads)
  if (heads % kvHeads !== 0) {
    throw new ReallmError('bad-file', `config.json: ${heads} heads cannot share ${kvHeads} key-value heads`)
  }
  if (headDim % 2 !== 0) throw new ReallmError('bad-file', `config.json: head_dim ${headDim} is odd`)
  const hasBias = c.flag('attention_bias')
  const bias = options.bias ?? { qkv: hasBias, out: hasBias }
  const parts = fused ?? ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj']
  const sizes = [heads, kvHeads, kvHeads].map(count => count * headDim)
  const rows = [gated ? 2 * sizes[0] : sizes[0], sizes[1], sizes[2]]
  const [query, key, value] = projections(i, parts, rows, hidden, bias.qkv)
  const normOf = (k: 0 | 1): Norm => ({
    name: nameOf(i, (qkNorm?.names ?? ['self_attn.q_norm', 'self_attn.k_norm'])[k]),
    width: qkNorm?.over === 'all' ? sizes[k] : headDim,
    eps: c.eps,
    offset: qkNorm?.offset ?? 0,
  })
  return {
    kind: 'attention',
    heads,
    kvHeads,
    headDim,
    query,
    key,
    value: options.keysAreValues ? key : value,
    output: linear(nameOf(i, output), hidden, heads * headDim, bias.out),
    qkNorm: qkNorm && { query: normOf(0), key: normOf(1), afterRope: qkNorm.afterRope ?? false },
    rope: hasRope ? c.rope(window !== undefined, headDim) : undefined,
    window,
    softcap,
    scale: options.scale ?? headDim ** -0.5,
    gated,
    valueNormEps: options.valueNormEps,
    sinks: options.sinks ? { name: nameOf(i, 'self_attn.sinks'), shape: [heads] } : undefined,
  }
}

/** The same to the keys and values of an earlier layer. */
export function sharedAttention(
  c: ConfigReader,
  i: number,
  layer: number,
  options: AttentionOptions,
): SharedAttention {
  const { heads, kvHeads, headDim, query, output, qkNorm, rope, window, scale } = attention(c, i, options)
  const shared = { heads, kvHeads, headDim, query, output, rope, window, scale }
  return { kind: 'shared-attention', layer, ...shared, queryNorm: qkNorm?.query }
}

export interface GatedMlpOptions extends Partial<Pick<GatedMlp, 'width' | 'clamp'>> {
  readonly bias?: boolean
  /** Names of gate and up, one for a matrix that is both. */
  readonly parts?: readonly [gate: string, up: string] | string
  readonly down?: string
}

export function gatedMlp(c: ConfigReader, i: number, options: GatedMlpOptions = {}): GatedMlp {
  const hidden = c.count('hidden_size')
  const { parts = ['mlp.gate_proj', 'mlp.up_proj'], width = c.count('intermediate_size') } = options
  const bias = options.bias ?? c.flag('mlp_bias')
  const [gate, up] = projections(i, parts, [width, width], hidden, bias)
  const down = linear(nameOf(i, options.down ?? 'mlp.down_proj'), hidden, width, bias)
  return { kind: 'gated-mlp', activation: c.activation, clamp: options.clamp, width, gate, up, down }
}

export interface ExpertsOptions extends Pick<MixtureOfExperts, 'chosen' | 'softmaxOver'> {
  readonly count: number
  readonly router: { readonly name: string; readonly bias?: boolean }
  /** What the experts lie in, as `<within>.<expert>`; default `mlp.experts`. */
  readonly within?: string
  readonly expert: Pick<GatedMlpOptions, 'width' | 'clamp' | 'bias'>
  /** By their names in the layer. */
  readonly stacks?: readonly ExpertStack[]
  readonly shared?: GatedMlp
}

/** @throws `bad-file` where a position would choose more experts than there are */
export function experts(c: ConfigReader, i: number, options: ExpertsOptions): MixtureOfExperts {
  const { count, chosen, softmaxOver, router, within = 'mlp.experts', stacks = [] } = options
  if (chosen > count) {
    throw new ReallmError('bad-file', `config.json: a position cannot choose ${chosen} of ${count} experts`)
  }
  const expert = (e: number) =>
    gatedMlp(c, i, {
      ...options.expert,
      parts: [`${within}.${e}.gate_proj`, `${within}.${e}.up_proj`],
      down: `${within}.${e}.down_proj`,
    })
  return {
    kind: 'experts',
    router: linear(nameOf(i, router.name), count, c.count('hidden_size'), router.bias ?? false),
    chosen,
    softmaxOver,
    experts: Array.from({ length: count }, (_, e) => expert(e)),
    stacks: stacks.map(stack => ({
      ...stack,
      weight: nameOf(i, stack.weight),
      bias: stack.bias === undefined ? undefined : nameOf(i, stack.bias),
    })),
    shared: options.shared,
  }
}

/** Norms by the places in a layer that they stand in, named as given. */
export function norms(
  c: ConfigReader,
  i: number,
  names: Partial<Record<keyof LayerSpec['norms'], string>>,
  offset: 0 | 1 = 0,
): LayerSpec['norms'] {
  const norm = (name: string | undefined): Norm | undefined =>
    name === undefined
      ? undefined
      : { name: nameOf(i, name), width: c.count('hidden_size'), eps: c.eps, offset }
  return {
    beforeMixer: norm(names.beforeMixer),
    afterMixer: norm(names.afterMixer),
    beforeFfn: norm(names.beforeFfn),
    afterFfn: norm(names.afterFfn),
  }
}

export const normsBefore = { beforeMixer: 'input_layernorm', beforeFfn: 'post_attention_layernorm' } as const
export const normsAfter = {
  afterMixer: 'post_attention_layernorm',
  afterFfn: 'post_feedforward_layernorm',
} as const
export const sandwichNorms = {
  beforeMixer: 'input_layernorm',
  afterMixer: 'post_attention_layernorm',
  beforeFfn: 'pre_feedforward_layernorm',
  afterFfn: 'post_feedforward_layernorm',
} as const

/** A layer like Llama's, its attention and MLP as asked. */
export const llamaLayer = (
  c: ConfigReader,
  i: number,
  options: AttentionOptions = {},
  mlp: GatedMlpOptions = {},
): LayerSpec => ({
  mixer: attention(c, i, options),
  ffn: gatedMlp(c, i, mlp),
  norms: norms(c, i, normsBefore),
  scales: { residual: 1 },
})
