import { ReallmError } from '../core/errors.ts'
import { type Family, families, type HuggingFaceConfig } from './families.ts'
import { ropeScalingFromGguf } from './gguf-rope.ts'

/** Metadata of a GGUF file, by key. */
export type GgufMetadata = Readonly<Record<string, unknown>>

const blockParts: Readonly<Record<string, string>> = {
  input_layernorm: 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
  post_attention_layernorm: 'ffn_norm',
}

const gemmaParts: Readonly<Record<string, string>> = {
  ...blockParts,
  post_attention_layernorm: 'post_attention_norm',
  pre_feedforward_layernorm: 'ffn_norm',
  post_feedforward_layernorm: 'post_ffw_norm',
}

const outerParts: Readonly<Record<string, string>> = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  lm_head: 'output',
}

/**
 * The name that llama.cpp gives a tensor.
 *
 * @example
 * ggufName('llama', 'model.layers.3.mlp.down_proj.weight') // 'blk.3.ffn_down.weight'
 */
export function ggufName(modelType: string, name: string): string {
  const [, module, kind] = /^(.*)\.(weight|bias)$/.exec(name) ?? []
  const [, i, part] = /^model\.layers\.(\d+)\.(.*)$/.exec(module ?? '') ?? []
  const parts = families.find(f => f.modelType === modelType)?.gemma ? gemmaParts : blockParts
  const translated = part === undefined ? outerParts[module ?? ''] : parts[part]
  if (translated === undefined) throw new ReallmError('not-found', `${name} has no name in GGUF`)
  return part === undefined ? `${translated}.${kind}` : `blk.${i}.${translated}.${kind}`
}

/**
 * Reorders the rows of llama.cpp's q and k, where the two halves of a head lie interleaved, into Hugging Face's
 * order (`undo`), or the other way round. `data` is `[rows, …]` with rows = heads × head width.
 */
export function permuteHeads(data: Float32Array, rows: number, heads: number, undo: boolean): Float32Array {
  const width = data.length / rows
  const headRows = rows / heads
  const half = headRows / 2
  const out = new Float32Array(data.length)
  for (let head = 0; head < heads; head++) {
    for (let j = 0; j < half; j++) {
      for (let side = 0; side < 2; side++) {
        const plain = (head * headRows + side * half + j) * width
        const interleaved = (head * headRows + 2 * j + side) * width
        const [from, to] = undo ? [interleaved, plain] : [plain, interleaved]
        out.set(data.subarray(from, from + width), to)
      }
    }
  }
  return out
}

/**
 * The `config.json` that says what a GGUF file's metadata says.
 *
 * @param tensors names and shapes in the file, for what metadata leaves out (vocabulary, tied head)
 * @param ropeFactors contents of `rope_freqs.weight`, where Llama 3's scaling is
 * @throws `unsupported` for another architecture, listing the known ones
 */
export function configFromGguf(
  metadata: GgufMetadata,
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  ropeFactors?: Float32Array,
): HuggingFaceConfig {
  const architecture = metadata['general.architecture']
  const get = (key: string) => metadata[`${architecture}.${key}`]
  const candidates = families.filter(f => f.gguf === architecture)
  const windowed = Number(get('attention.sliding_window') ?? 0) > 0
  const family = candidates.find(f => windowed && f.sliding !== undefined) ?? candidates[0]
  if (!family) {
    const known = [...new Set(families.map(f => f.gguf))]
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
  const hidden_size = number('embedding_length')
  const heads = number('attention.head_count')
  const head_dim = optional('attention.key_length') ?? hidden_size / heads
  const layers = number('block_count')
  const softcap = optional('final_logit_softcapping')
  const embeddingScale = optional('embedding_scale')
  return {
    architectures: [family.architecture],
    model_type: family.modelType,
    vocab_size: tensors.get('token_embd.weight')?.shape[0] ?? optional('vocab_size'),
    hidden_size,
    intermediate_size: number('feed_forward_length'),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: optional('attention.head_count_kv') ?? heads,
    head_dim,
    rms_norm_eps: Number(number('attention.layer_norm_rms_epsilon').toPrecision(6)),
    max_position_embeddings: number('context_length'),
    tie_word_embeddings: !tensors.has('output.weight'),
    attention_bias: tensors.has('blk.0.attn_q.bias'),
    mlp_bias: tensors.has('blk.0.ffn_up.bias'),
    rope_theta: optional('rope.freq_base') ?? 10_000,
    rope_scaling: ropeScalingFromGguf(get, ropeFactors, head_dim),
    ...(windowed
      ? slidingFromGguf(family, number('attention.sliding_window'), get, layers)
      : { sliding_window: null }),
    ...(family.gemma
      ? {
          hidden_activation: 'gelu_pytorch_tanh',
          dtype: embeddingScale === Math.fround(Math.sqrt(hidden_size)) ? 'float32' : 'bfloat16',
          // Only the 27B model, of 62 layers, scales by its width.
          query_pre_attn_scalar: layers === 62 ? hidden_size / heads : head_dim,
          rope_local_base_freq: optional('rope.freq_base_swa') ?? 10_000,
          ...(softcap && { final_logit_softcapping: softcap }),
        }
      : { hidden_act: 'silu' }),
    bos_token_id: tokenIdOf(metadata, 'bos') ?? null,
    eos_token_id: oneOrMore(endIdsOfGguf(metadata)),
  }
}

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
    return {
      sliding_window,
      ...(family.sliding === 'configured' && { use_sliding_window: true, max_window_layers: 0 }),
    }
  }
  return {
    sliding_window,
    use_sliding_window: true,
    layer_types: Array.from({ length: layers }, (_, i) =>
      slides(i) ? 'sliding_attention' : 'full_attention',
    ),
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
