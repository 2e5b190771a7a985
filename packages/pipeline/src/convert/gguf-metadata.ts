import { type GgufValue, ReallmError } from '@reallm/tensor-io'
import { familyOf, type TextTokenizer, type TransformerConfig } from '@reallm/transformer'

const text = (value: string): GgufValue => ({ type: 'string', value })
const whole = (value: number): GgufValue => ({ type: 'uint32', value })
const real = (value: number): GgufValue => ({ type: 'float32', value })

/** The GGUF metadata of a model: dimensions under its architecture's name, and the tokenizer when there is one. */
export function ggufMetadata(
  config: TransformerConfig,
  tokenizer: TextTokenizer | undefined,
  fileType: number,
): Record<string, GgufValue> {
  const family = familyOf(config.source)
  const window = config.windows.find(w => w !== undefined)
  const dimensions: Record<string, GgufValue> = {
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
    ...ropeMetadata(config),
    ...(window !== undefined && { 'attention.sliding_window': whole(window) }),
  }
  return {
    'general.architecture': text(family.gguf),
    'general.file_type': whole(fileType),
    ...Object.fromEntries(Object.entries(dimensions).map(([key, v]) => [`${family.gguf}.${key}`, v])),
    ...(tokenizer && tokenizerMetadata(tokenizer)),
  }
}

interface RopeSource {
  readonly rope_type?: string
  readonly type?: string
  readonly factor?: number
  readonly original_max_position_embeddings?: number
  readonly rope_theta?: number
  readonly full_attention?: RopeSource
}

function ropeMetadata({ source }: TransformerConfig): Record<string, GgufValue> {
  const given = (source.rope_parameters ?? source.rope_scaling ?? {}) as RopeSource
  const rope = given.full_attention ?? given
  const theta = rope.rope_theta ?? (source.rope_theta as number | undefined) ?? 10_000
  const type = rope.rope_type ?? rope.type ?? 'default'
  const base = { 'rope.freq_base': real(theta) }
  if (type === 'default') return base
  if (type !== 'linear' && type !== 'yarn') {
    throw new ReallmError('unsupported', `rope scaling ${type} cannot be written to GGUF`, {
      hint: 'convert to safetensors instead',
    })
  }
  return {
    ...base,
    'rope.scaling.type': text(type),
    ...(rope.factor !== undefined && { 'rope.scaling.factor': real(rope.factor) }),
    ...(rope.original_max_position_embeddings !== undefined && {
      'rope.scaling.original_context_length': whole(rope.original_max_position_embeddings),
    }),
  }
}

interface BpeModel {
  readonly type?: string
  readonly vocab?: Readonly<Record<string, number>>
  readonly merges?: readonly (string | readonly [string, string])[]
}

interface AddedToken {
  readonly id: number
  readonly content: string
  readonly special?: boolean
}

/** llama.cpp's token types. */
const [normal, control, userDefined] = [1, 3, 4]

function tokenizerMetadata({ files, bos, eos }: TextTokenizer): Record<string, GgufValue> {
  const model = (files.tokenizer.model ?? {}) as BpeModel
  if (model.type !== 'BPE' || !model.vocab || !model.merges) {
    throw new ReallmError(
      'unsupported',
      `a ${model.type ?? 'nameless'} tokenizer cannot be written to GGUF`,
      {
        hint: 'byte-level BPE can; convert to safetensors instead',
      },
    )
  }
  const added = (files.tokenizer.added_tokens ?? []) as readonly AddedToken[]
  const ids = [...Object.values(model.vocab), ...added.map(t => t.id)]
  const tokens = Array.from(
    { length: ids.reduce((most, id) => Math.max(most, id), -1) + 1 },
    (_, i) => `[unused${i}]`,
  )
  const types = tokens.map(() => normal)
  for (const [token, id] of Object.entries(model.vocab)) tokens[id] = token
  for (const { id, content, special } of added) {
    tokens[id] = content
    types[id] = special ? control : userDefined
  }
  const template = files.config.chat_template
  return {
    'tokenizer.ggml.model': text('gpt2'),
    'tokenizer.ggml.pre': text(splitterOf(files.tokenizer.pre_tokenizer)),
    'tokenizer.ggml.tokens': { type: 'string', value: tokens },
    'tokenizer.ggml.token_type': { type: 'int32', value: types },
    'tokenizer.ggml.merges': {
      type: 'string',
      value: model.merges.map(merge => (typeof merge === 'string' ? merge : merge.join(' '))),
    },
    ...(bos !== undefined && { 'tokenizer.ggml.bos_token_id': whole(bos) }),
    ...(eos.length > 0 && { 'tokenizer.ggml.eos_token_id': whole(eos[0]) }),
    ...(typeof template === 'string' && { 'tokenizer.chat_template': text(template) }),
  }
}

/** llama.cpp's name for how texts are cut into words before merging. */
function splitterOf(preTokenizer: unknown): string {
  const json = JSON.stringify(preTokenizer ?? {})
  if (json.includes('"Digits"')) return 'smollm'
  if (json.includes('\\\\p{N}{1,3}')) return 'llama-bpe'
  if (json.includes('\\\\p{N}|')) return 'qwen2'
  return 'gpt-2'
}
