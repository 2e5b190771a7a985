import { ReallmError } from '../core/errors.ts'
import { families, type HuggingFaceConfig } from './families.ts'
import { llama3Divisor } from './rope.ts'

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
  const windowed = get('attention.sliding_window') !== undefined
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
  const id = (name: string) => {
    const value = metadata[`tokenizer.ggml.${name}_token_id`]
    return value === undefined ? null : Number(value)
  }
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
    rope_theta: optional('rope.freq_base') ?? 10_000,
    rope_scaling: ropeScaling(get, optional, ropeFactors, head_dim),
    ...(windowed && { sliding_window: number('attention.sliding_window') }),
    ...(family.gemma
      ? {
          hidden_activation: 'gelu_pytorch_tanh',
          dtype: 'bfloat16',
          // Only the 27B model, of 62 layers, scales by its width.
          query_pre_attn_scalar: layers === 62 ? hidden_size / heads : head_dim,
        }
      : { hidden_act: 'silu' }),
    bos_token_id: id('bos'),
    eos_token_id: id('eos'),
  }
}

function ropeScaling(
  get: (key: string) => unknown,
  number: (key: string) => number | undefined,
  factors: Float32Array | undefined,
  headDim: number,
): object | null {
  if (factors) return llama3Scaling(factors, number('rope.freq_base') ?? 10_000, headDim)
  const type = get('rope.scaling.type')
  if (type === undefined || type === 'none') return null
  const original = number('rope.scaling.original_context_length')
  const attention = number('rope.scaling.attn_factor')
  return {
    rope_type: type,
    factor: number('rope.scaling.factor'),
    ...(original !== undefined && { original_max_position_embeddings: original }),
    ...(attention !== undefined && { attention_factor: attention }),
  }
}

/** llama.cpp stores the quotients of frequencies that Llama 3's scaling comes to; this finds its parameters. */
function llama3Scaling(factors: Float32Array, theta: number, headDim: number): object {
  const scaling = {
    rope_type: 'llama3',
    factor: Math.max(...factors),
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  }
  const fits = factors.every((stored, j) => {
    const divisor = llama3Divisor(theta ** ((-2 * j) / headDim), scaling.factor, scaling)
    return Math.abs(stored / divisor - 1) < 1e-3
  })
  if (!fits) throw new ReallmError('unsupported', 'rope_freqs.weight is not the rope scaling of Llama 3')
  return scaling
}
