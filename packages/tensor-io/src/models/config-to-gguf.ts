import { ReallmError } from '../core/errors.ts'
import type { GgufValue } from '../formats/gguf/values.ts'
import { familyOf, type TransformerConfig } from './config.ts'
import { ropeToGguf } from './gguf-rope.ts'
import type { RopeParameters } from './rope.ts'

/** What llama.cpp computes with beside what all architectures have. What it would leave out is not written. */
interface Architecture {
  /** Biases by llama.cpp's names of their layers. */
  readonly biases?: readonly string[]
  /** Windows by layer, with a rope of their own. */
  readonly windows?: true
  readonly logitSoftcap?: true
  /** Contents of `rope_freqs.weight`. */
  readonly ropeFactors?: true
  /** All heads together are as wide as the model. */
  readonly headsFill?: true
}

const qkv = ['attn_q', 'attn_k', 'attn_v']

const architectures: ReadonlyMap<string, Architecture> = new Map<string, Architecture>([
  ['llama', { biases: [...qkv, 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'], ropeFactors: true }],
  ['qwen2', { biases: qkv, headsFill: true }],
  ['qwen3', {}],
  ['gemma3', { windows: true, logitSoftcap: true }],
])

/** A model's configuration as GGUF says it. */
export interface GgufConfig {
  readonly metadata: Readonly<Record<string, GgufValue>>
  /** Contents of `rope_freqs.weight`, where that is how the rope is said. */
  readonly ropeFactors: Float32Array<ArrayBuffer> | undefined
  /** @throws `unsupported` for a tensor that llama.cpp would leave out */
  requireTensor(ggufName: string): void
}

/**
 * The metadata of a configuration, as far as llama.cpp computes with them. Whether they say everything is for the caller
 * to see, by reading them back.
 *
 * @throws `unsupported` for a family or a rope that GGUF has no form for
 */
export function configToGguf(config: TransformerConfig): GgufConfig {
  const name = familyOf(config.source).gguf
  const architecture = architectures.get(name)
  if (!architecture)
    throw refuse(`the architecture ${name} is not among ${[...architectures.keys()].join(', ')}`)
  const width = config.heads * config.headDim
  if (architecture.headsFill && width !== config.hiddenSize) {
    throw refuse(`in a ${name} the heads must be ${config.hiddenSize} wide together, these are ${width}`)
  }
  const { full, sliding } = ropeParameters(config)
  if (architecture.windows && full.rope_type === 'yarn') {
    throw refuse(`in a ${name} llama.cpp would apply rope scaling yarn to layers with a window as well`)
  }
  const rope = ropeToGguf(full, config.headDim, config.maxPositions)
  const values: Record<string, GgufValue> = {
    block_count: whole(config.layers),
    context_length: whole(config.maxPositions),
    embedding_length: whole(config.hiddenSize),
    feed_forward_length: whole(config.intermediateSize),
    'attention.head_count': whole(config.heads),
    'attention.head_count_kv': whole(config.kvHeads),
    'attention.key_length': whole(config.headDim),
    'attention.value_length': whole(config.headDim),
    'attention.layer_norm_rms_epsilon': real(config.normEps),
    'rope.dimension_count': whole(config.headDim),
    vocab_size: whole(config.vocabSize),
    ...rope.metadata,
    ...(architecture.windows && windowsToGguf(config, sliding)),
    ...(architecture.logitSoftcap &&
      config.logitSoftcap !== undefined && { final_logit_softcapping: real(config.logitSoftcap) }),
    // llama.cpp takes √width where this says something else; readers of this library take what it says.
    ...(config.embeddingScale !== 1 && { embedding_scale: real(config.embeddingScale) }),
  }
  return {
    metadata: {
      'general.architecture': { type: 'string', value: name },
      ...Object.fromEntries(Object.entries(values).map(([key, value]) => [`${name}.${key}`, value])),
    },
    ropeFactors: architecture.ropeFactors && rope.factors,
    requireTensor(ggufName) {
      const bias = /^(?:blk\.\d+\.)?(.*)\.bias$/.exec(ggufName)?.[1]
      if (bias === undefined || architecture.biases?.includes(bias)) return
      throw refuse(`a ${name} has no place for the tensor ${ggufName}`)
    },
  }
}

function windowsToGguf({ windows }: TransformerConfig, sliding: RopeParameters): Record<string, GgufValue> {
  const window = windows.find(w => w !== undefined)
  if (window === undefined) return {}
  return {
    'attention.sliding_window': whole(window),
    'attention.sliding_window_pattern': { type: 'bool', value: windows.map(w => w !== undefined) },
    'rope.freq_base_swa': real(sliding.rope_theta),
  }
}

/** The ropes of the layers that see everything and of those with a window, from either form of `config.json`. */
function ropeParameters({ source }: TransformerConfig): { full: RopeParameters; sliding: RopeParameters } {
  type Given = Partial<RopeParameters> & { readonly type?: string }
  const value = (key: string) => source[key] ?? familyOf(source).defaults?.[key]
  const given = (source.rope_parameters ?? source.rope_scaling ?? {}) as Given &
    Record<string, Given | undefined>
  const theta = (value('rope_theta') ?? 10_000) as number
  const make = ({ type = 'default', ...parameters }: Given, rope_theta: number): RopeParameters => ({
    rope_type: type,
    rope_theta,
    ...parameters,
  })
  const full = make(given.full_attention ?? given, theta)
  const local = value('rope_local_base_freq')
  if (given.sliding_attention) return { full, sliding: make(given.sliding_attention, theta) }
  return { full, sliding: typeof local === 'number' && !given.full_attention ? make({}, local) : full }
}

const whole = (value: number): GgufValue => ({ type: 'uint32', value })
const real = (value: number): GgufValue => ({ type: 'float32', value })

const refuse = (what: string) =>
  new ReallmError('unsupported', `the model cannot be written to GGUF: ${what}`, {
    hint: 'convert to safetensors instead',
  })
