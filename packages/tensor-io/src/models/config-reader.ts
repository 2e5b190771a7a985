import { ReallmError } from '../core/errors.ts'
import { type Activation, activations } from './layer-spec.ts'
import { type Rope, type RopeParameters, rope } from './rope.ts'

/** Contents of a Hugging Face `config.json`. */
export type HuggingFaceConfig = Readonly<Record<string, unknown>>

/** More than any model has: what is made for each is bounded. */
const MOST_LAYERS = 4096
/** In all layers together. */
const MOST_EXPERTS = 65_536

/** What a family says of configurations: values of keys that are left out, and how its rotary embedding differs. */
export interface ConfigDefaults {
  readonly defaults?: HuggingFaceConfig
  readonly rope?: RopeOptions
}

export interface RopeOptions {
  /** A part of each head may turn alone. */
  readonly partial?: boolean
  /** Pairs are neighbours. */
  readonly interleaved?: boolean
  /** A scaling is not for layers that slide, where the configuration does not say. */
  readonly plainWhenSliding?: boolean
}

/** Reads values of a `config.json` of transformers 4 or 5. */
export class ConfigReader {
  readonly #source: HuggingFaceConfig
  readonly #defaults: HuggingFaceConfig
  readonly #ropeOptions: RopeOptions
  readonly #ropes = new Map<boolean, Rope>()

  constructor(source: HuggingFaceConfig, { defaults = {}, rope = {} }: ConfigDefaults) {
    this.#source = source
    this.#defaults = defaults
    this.#ropeOptions = rope
  }

  value(key: string): unknown {
    return this.#source[key] === undefined ? this.#defaults[key] : this.#source[key]
  }

  /** @throws `bad-file` naming the key, unless it or `otherwise` is a positive integer */
  count(key: string, otherwise?: number): number {
    const n = this.value(key) ?? otherwise
    if (Number.isSafeInteger(n) && (n as number) > 0) return n as number
    throw new ReallmError(
      'bad-file',
      `config.json: ${key} must be a positive integer, got ${JSON.stringify(n ?? null)}`,
    )
  }

  /** @throws `bad-file` naming the key, for a number beyond all that are */
  number(key: string): number | undefined {
    const n = this.value(key)
    if (n === Number.POSITIVE_INFINITY || n === Number.NEGATIVE_INFINITY) {
      throw new ReallmError('bad-file', `config.json: ${key} is too large a number`)
    }
    return typeof n === 'number' ? n : undefined
  }

  /** @throws `bad-file` naming the key, unless it is a positive number */
  positive(key: string): number {
    const n = this.number(key)
    if (n !== undefined && n > 0 && n < Number.POSITIVE_INFINITY) return n
    throw new ReallmError('bad-file', `config.json: ${key} must be a positive number, got ${n ?? null}`)
  }

  flag(key: string): boolean {
    return this.value(key) === true
  }

  get layers(): number {
    const layers = this.count('num_hidden_layers')
    if (layers <= MOST_LAYERS) return layers
    throw new ReallmError('bad-file', `config.json: num_hidden_layers is ${layers}, more than ${MOST_LAYERS}`)
  }

  /** How many experts each layer has; `key` is where the configuration says so. */
  experts(...keys: readonly string[]): number {
    const key = keys.find(key => this.value(key) != null) ?? keys[0]
    const experts = this.count(key)
    if (experts * this.layers <= MOST_EXPERTS) return experts
    throw new ReallmError(
      'bad-file',
      `config.json: ${key} is ${experts} in each of ${this.layers} layers, more than ${MOST_EXPERTS} in all`,
    )
  }

  get headDim(): number {
    return this.count('head_dim', Math.floor(this.count('hidden_size') / this.count('num_attention_heads')))
  }

  get eps(): number {
    return this.number('rms_norm_eps') ?? this.number('norm_eps') ?? 1e-6
  }

  get maxPositions(): number {
    return this.count('max_position_embeddings', 2048)
  }

  /** @throws `unsupported`, listing those that are there */
  get activation(): Activation {
    const name = this.value('hidden_activation') ?? this.value('hidden_act') ?? 'silu'
    const known = activations.find(a => a === (name === 'gelu_new' ? 'gelu_pytorch_tanh' : name))
    if (known) return known
    throw new ReallmError('unsupported', `config.json: the activation ${name} is not supported`, {
      hint: `supported: ${activations.join(', ')}`,
    })
  }

  /** What `layer_types` says of layer `i`; undefined where there is no such list. */
  layerType(i: number): unknown {
    const types = this.value('layer_types')
    if (!Array.isArray(types)) return undefined
    if (types.length === this.layers) return types[i]
    throw new ReallmError(
      'bad-file',
      `config.json: layer_types has ${types.length} entries for ${this.layers} layers`,
    )
  }

  /**
   * Which of some kinds layer `i` is: by the names that `layer_types` has for them, or as `otherwise` says where there is no
   * such list.
   */
  layerKind<Kind extends string>(
    i: number,
    names: Readonly<Record<string, Kind>>,
    otherwise: (i: number) => Kind,
  ): Kind {
    const type = this.layerType(i)
    if (type === undefined) return otherwise(i)
    const kind = Object.entries(names).find(([name]) => name === type)?.[1]
    if (kind !== undefined) return kind
    throw new ReallmError('unsupported', `config.json: layer_types has ${JSON.stringify(type)}`, {
      hint: `supported: ${Object.keys(names).join(', ')}`,
    })
  }

  /** The window of layer `i`, if it slides: as `layer_types` says, or as `otherwise` does where there is no such list. */
  window(i: number, otherwise: (i: number) => boolean): number | undefined {
    const type = this.layerType(i)
    const slides = type === undefined ? otherwise(i) : type === 'sliding_attention'
    return slides && this.value('sliding_window') != null ? this.count('sliding_window') : undefined
  }

  /** The rotary embedding of layers that slide, or of the others, whose heads may have another width. */
  rope(slides: boolean, headDim = this.headDim): Rope {
    const known = this.#ropes.get(slides)
    if (known) return known
    const parameters = this.ropeParameters(slides)
    const made = rope(parameters, this.ropeWidth(slides, headDim), this.maxPositions)
    const { interleaved = false } = this.#ropeOptions
    this.#ropes.set(slides, { ...made, interleaved })
    return this.rope(slides, headDim)
  }

  /**
   * What the configuration says of that rotary embedding. transformers 5 has `rope_parameters`, flat or per layer type; 4
   * has `rope_theta` and `rope_scaling`.
   */
  ropeParameters(slides: boolean): RopeParameters {
    const given = this.#givenRope(slides)
    const { rope_theta } = given
    if (typeof rope_theta !== 'number' || !(rope_theta > 0 && rope_theta < Number.POSITIVE_INFINITY)) {
      throw new ReallmError(
        'bad-file',
        `config.json: rope_theta must be a positive number, got ${rope_theta}`,
      )
    }
    const named = given.rope_type ?? given.type ?? 'default'
    // LongRoPE has had other names. The sections of a multimodal rope are alike in texts.
    const rope_type = given.short_factor ? 'longrope' : named === 'mrope' ? 'default' : named
    return { ...given, rope_theta, rope_type }
  }

  /** How many dimensions of a head turn. */
  ropeWidth(slides: boolean, headDim = this.headDim): number {
    if (this.#givenRope(slides).rope_type === 'proportional') return headDim
    const factor = this.#givenRope(slides).partial_rotary_factor ?? this.number('partial_rotary_factor') ?? 1
    if (!this.#ropeOptions.partial && factor !== 1) {
      throw new ReallmError('unsupported', 'config.json: partial_rotary_factor other than 1 is not supported')
    }
    const width = Math.floor(headDim * factor)
    if (factor > 0 && factor <= 1 && width >= 2 && width % 2 === 0) return width
    throw new ReallmError(
      'bad-file',
      `config.json: a partial_rotary_factor of ${factor} does not fit heads of ${headDim}`,
    )
  }

  #givenRope(slides: boolean): GivenRope {
    const given = this.value('rope_parameters') as GivenRope | undefined
    const nested = (slides ? given?.sliding_attention : undefined) ?? given?.full_attention
    if (nested) return nested
    const local = this.number('rope_local_base_freq')
    if (slides && local !== undefined) return { rope_theta: local }
    const flat = given ?? (this.value('rope_scaling') as GivenRope | null) ?? {}
    const theta = { rope_theta: flat.rope_theta ?? this.value('rope_theta') ?? 10_000 }
    if (slides && this.#ropeOptions.plainWhenSliding) return theta
    // Flat parameters give way to what stands beside them, as they do in transformers.
    const original = this.number('original_max_position_embeddings')
    return {
      ...flat,
      ...theta,
      ...(original !== undefined && { original_max_position_embeddings: original }),
    }
  }
}

type GivenRope = Omit<Partial<RopeParameters>, 'rope_theta'> & {
  readonly rope_theta?: unknown
  readonly type?: string
  readonly full_attention?: GivenRope
  readonly sliding_attention?: GivenRope
}
