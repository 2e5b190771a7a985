import { ReallmError } from '../core/errors.ts'
import type { GgufValue } from '../formats/gguf/values.ts'
import { ConfigReader } from './config-reader.ts'
import { recurrentMetadata } from './gguf-mixers.ts'
import { type RopeTensors, ropeToGguf } from './gguf-rope.ts'
import { attentionsOf } from './layer-spec.ts'
import type { TransformerConfig } from './transformer-config.ts'

/** A model's configuration as GGUF says it. */
export interface GgufConfig {
  readonly metadata: Readonly<Record<string, GgufValue>>
  /** Contents of tensors that say the rope. */
  readonly ropeTensors: RopeTensors
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
  const { family } = config
  const {
    architecture: name,
    headsFill,
    windows,
    windowsIn = config.layers,
    biases,
    keys = {},
    ropeTensors = [],
  } = family.gguf
  const [{ ffn }] = config.layerSpecs
  const attentions = attentionsOf(config.layerSpecs)
  // Heads of layers that slide may have another width.
  const mixer = attentions.find(({ window }) => window === undefined) ?? attentions[0]
  if (!mixer) throw refuse('no layer attends')
  const reader = new ConfigReader(config.source, family)
  const width = mixer.heads * mixer.headDim
  if (headsFill && width !== config.hiddenSize) {
    throw refuse(`in a ${name} the heads must be ${config.hiddenSize} wide together, these are ${width}`)
  }
  const full = reader.ropeParameters(false)
  if (windows === 'own' && full.rope_type === 'yarn') {
    throw refuse(`in a ${name} llama.cpp would apply rope scaling yarn to layers with a window as well`)
  }
  const turning = reader.ropeWidth(false, mixer.headDim)
  const rope = ropeToGguf(full, turning, config.maxPositions)
  const values: Record<string, GgufValue> = {
    block_count: whole(config.layers),
    context_length: whole(config.maxPositions),
    embedding_length: whole(config.hiddenSize),
    feed_forward_length: whole(ffn.kind === 'gated-mlp' ? ffn.width : reader.count('intermediate_size')),
    'attention.head_count': whole(mixer.heads),
    'attention.head_count_kv': family.gguf.kvHeadsByLayer
      ? { type: 'uint32', value: kvHeadsByLayer(config) }
      : whole(mixer.kvHeads),
    'attention.key_length': whole(mixer.headDim),
    'attention.value_length': whole(mixer.headDim),
    'attention.layer_norm_rms_epsilon': real(config.norm.eps),
    'rope.dimension_count': whole(turning),
    vocab_size: whole(config.vocabSize),
    ...expertsToGguf(config),
    ...recurrentMetadata(config.layerSpecs),
    ...rope.metadata,
    ...(windows && windowsIn === config.layers && windowsToGguf(config)),
    ...(windows === 'own' && { 'rope.freq_base_swa': real(reader.ropeParameters(true).rope_theta) }),
    // llama.cpp takes √width where this says something else; readers of this library take what it says.
    ...(config.embeddingScale !== 1 && { embedding_scale: real(config.embeddingScale) }),
  }
  for (const [key, stored] of Object.entries(keys)) {
    const value = reader.number(key)
    if (value !== undefined) values[stored] = real(value)
  }
  for (const [stored, value] of Object.entries(family.gguf.written?.(full, reader) ?? {})) {
    if (value === undefined) delete values[stored]
    else values[stored] = typeof value === 'number' ? real(value) : value
  }
  return {
    metadata: {
      'general.architecture': { type: 'string', value: name },
      ...Object.fromEntries(Object.entries(values).map(([key, value]) => [`${name}.${key}`, value])),
    },
    ropeTensors: Object.fromEntries(
      ropeTensors.flatMap(tensor => (rope.tensors[tensor] ? [[tensor, rope.tensors[tensor]]] : [])),
    ),
    requireTensor(ggufName) {
      const bias = /^(?:blk\.\d+\.)?(.*)\.bias$/.exec(ggufName)?.[1]
      if (bias === undefined || biases?.includes(bias)) return
      throw refuse(`a ${name} has no place for the tensor ${ggufName}`)
    },
  }
}

const kvHeadsByLayer = ({ layerSpecs }: TransformerConfig): number[] =>
  layerSpecs.map(({ mixer }) => (mixer.kind === 'attention' ? mixer.kvHeads : 0))

function windowsToGguf({ layerSpecs }: TransformerConfig): Record<string, GgufValue> {
  const windows = layerSpecs.map(({ mixer }) => ('window' in mixer ? mixer.window : undefined))
  const window = windows.find(w => w !== undefined)
  if (window === undefined) return {}
  return {
    'attention.sliding_window': whole(window),
    'attention.sliding_window_pattern': { type: 'bool', value: windows.map(w => w !== undefined) },
  }
}

function expertsToGguf({ layerSpecs }: TransformerConfig): Record<string, GgufValue> {
  for (const { ffn } of layerSpecs) {
    if (ffn.kind !== 'experts') continue
    return {
      expert_count: whole(ffn.experts.length),
      expert_used_count: whole(ffn.chosen),
      expert_feed_forward_length: whole(ffn.experts[0].width),
    }
  }
  return {}
}

const whole = (value: number): GgufValue => ({ type: 'uint32', value })
const real = (value: number): GgufValue => ({ type: 'float32', value })

const refuse = (what: string) =>
  new ReallmError('unsupported', `the model cannot be written to GGUF: ${what}`, {
    hint: 'convert to safetensors instead',
  })
