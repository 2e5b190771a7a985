import { ReallmError } from '../core/errors.ts'
import type { HuggingFaceConfig } from './config-reader.ts'
import { allFamilies, type Family } from './families/index.ts'
import { type RopeTensors, ropeScalingFromGguf } from './gguf-rope.ts'

/** Metadata of a GGUF file, by key. */
export type GgufMetadata = Readonly<Record<string, unknown>>

/**
 * The `config.json` that says what a GGUF file's metadata says.
 *
 * @param tensors names and shapes in the file, for what metadata leaves out (vocabulary, tied head)
 * @param ropeTensors contents of the tensors that are about rotary embeddings
 * @throws `unsupported` for another architecture, listing the known ones
 */
export async function configFromGguf(
  metadata: GgufMetadata,
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  ropeTensors: RopeTensors = {},
): Promise<HuggingFaceConfig> {
  const architecture = metadata['general.architecture']
  const get = (key: string) => metadata[`${architecture}.${key}`]
  const families = await allFamilies()
  const candidates = families.filter(f => f.gguf.architecture === architecture)
  const windowed = Number(get('attention.sliding_window') ?? 0) > 0
  const family = candidates.find(f => windowed && f.gguf.windowed) ?? candidates[0]
  if (!family) {
    const known = [...new Set(families.map(f => f.gguf.architecture))]
    throw new ReallmError('unsupported', `the GGUF architecture ${architecture} is not supported`, {
      hint: `supported: ${known.join(', ')}`,
    })
  }
  const number = (key: string): number => {
    const value = get(key)
    if (typeof value === 'number' || typeof value === 'bigint') return Number(value)
    throw new ReallmError('bad-file', `GGUF metadata: ${architecture}.${key} is missing or no number`)
  }
  const optional = (key: string) => (get(key) === undefined ? undefined : number(key))
  const list = (key: string) => {
    const values = get(key)
    return Array.isArray(values) ? values.map(Number) : undefined
  }
  const hidden_size = number('embedding_length')
  const heads = number('attention.head_count')
  const head_dim = optional('attention.key_length') ?? hidden_size / heads
  const layers = number('block_count')
  const decimal = (key: string) => {
    const value = optional(key)
    return value === undefined ? undefined : Number(value.toPrecision(6))
  }
  const own = Object.entries(family.gguf.keys ?? {}).map(([key, stored]) => [key, decimal(stored)] as const)
  const ropeScaling = ropeScalingFromGguf(get, ropeTensors, head_dim)
  return {
    architectures: [family.architecture],
    model_type: family.modelType,
    vocab_size: tensors.get('token_embd.weight')?.shape[0] ?? optional('vocab_size'),
    hidden_size,
    intermediate_size: mostOf(list('feed_forward_length')) ?? number('feed_forward_length'),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads:
      mostOf(list('attention.head_count_kv')) ?? optional('attention.head_count_kv') ?? heads,
    head_dim,
    rms_norm_eps: Number(number('attention.layer_norm_rms_epsilon').toPrecision(6)),
    max_position_embeddings: number('context_length'),
    tie_word_embeddings: !tensors.has('output.weight'),
    attention_bias: tensors.has('blk.0.attn_q.bias'),
    mlp_bias: tensors.has('blk.0.ffn_up.bias'),
    rope_theta: optional('rope.freq_base') ?? 10_000,
    rope_scaling: ropeScaling,
    ...(windowed
      ? slidingFromGguf(family, number('attention.sliding_window'), get, layers)
      : { sliding_window: null }),
    ...expertsFromGguf(optional),
    hidden_act: 'silu',
    ...Object.fromEntries(own.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]))),
    ...family.gguf.implied?.({
      ...{ number, optional, decimal, list, headDim: head_dim, ropeScaling },
      flag: key => (get(key) === undefined ? undefined : Boolean(get(key))),
      has: tensor => [...tensors.keys()].some(name => name.endsWith(`.${tensor}`)),
    }),
    bos_token_id: tokenIdOf(metadata, 'bos') ?? null,
    eos_token_id: oneOrMore(endIdsOfGguf(metadata)),
  }
}

/** Where metadata says what `config.json` says. */
const storedAs: Readonly<Record<string, string>> = {
  hidden_size: 'embedding_length',
  intermediate_size: 'feed_forward_length',
  num_hidden_layers: 'block_count',
  num_attention_heads: 'attention.head_count',
  num_key_value_heads: 'attention.head_count_kv',
  head_dim: 'attention.key_length',
  rms_norm_eps: 'attention.layer_norm_rms_epsilon',
  max_position_embeddings: 'context_length',
  rope_theta: 'rope.freq_base',
}

/** Reads a configuration of `configFromGguf`; errors name the file and its keys. */
export async function inGgufWords<T>(
  { spec, metadata }: { readonly spec: string; readonly metadata: GgufMetadata },
  read: () => Promise<T>,
): Promise<T> {
  try {
    return await read()
  } catch (error) {
    const said =
      error instanceof ReallmError && /^(?:config\.json|GGUF metadata): (.*)/s.exec(error.message)?.[1]
    if (!said) throw error
    const named = said.replace(/^\w+/, key =>
      storedAs[key] === undefined ? key : `${metadata['general.architecture']}.${storedAs[key]}`,
    )
    throw new ReallmError(error.code, `${spec}: its metadata: ${named}`, { hint: error.hint, cause: error })
  }
}

const mostOf = (counts: readonly number[] | undefined): number | undefined =>
  counts?.reduce((most, count) => Math.max(most, count), 0)

/** Which layers slide: as an array says, by a period, or as the family does. */
function slidingFromGguf(
  family: Family,
  sliding_window: number,
  get: (key: string) => unknown,
  layers: number,
): object {
  const pattern = get('attention.sliding_window_pattern')
  const period = typeof pattern === 'number' ? pattern : undefined
  const slides = (i: number) =>
    Array.isArray(pattern)
      ? Boolean(pattern[i])
      : period !== undefined && (period === 0 || (i + 1) % period !== 0)
  if (pattern === undefined) {
    return { sliding_window, ...family.gguf.windowed }
  }
  return {
    sliding_window,
    use_sliding_window: true,
    layer_types: Array.from({ length: layers }, (_, i) =>
      slides(i) ? 'sliding_attention' : 'full_attention',
    ),
  }
}

function expertsFromGguf(optional: (key: string) => number | undefined): object {
  const num_experts = optional('expert_count') ?? 0
  if (num_experts === 0) return {}
  return {
    num_experts,
    num_local_experts: num_experts,
    num_experts_per_tok: optional('expert_used_count'),
    moe_intermediate_size: optional('expert_feed_forward_length'),
  }
}

const tokenIdOf = (metadata: GgufMetadata, name: string): number | undefined => {
  const id = metadata[`tokenizer.ggml.${name}_token_id`]
  return id === undefined ? undefined : Number(id)
}

/** The ids that end a text, a turn or a message. */
export const endIdsOfGguf = (metadata: GgufMetadata): number[] =>
  ['eos', 'eot', 'eom'].map(name => tokenIdOf(metadata, name)).filter(id => id !== undefined)

const oneOrMore = (ids: number[]) => (ids.length > 1 ? ids : (ids[0] ?? null))
