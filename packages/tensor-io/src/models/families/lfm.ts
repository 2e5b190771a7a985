import type { ConfigReader } from '../config-reader.ts'
import { attention, gatedMlp, norms } from './blocks.ts'
import type { Family } from './family.ts'
import { shortConv } from './recurrent.ts'

/** The width of the MLP: two thirds of what is said, rounded up, unless told otherwise. */
function mlpWidth(c: ConfigReader): number {
  const said = c.count('block_ff_dim', c.count('intermediate_size'))
  if (!c.flag('block_auto_adjust_ff_dim')) return said
  const [factor, multiple] = [c.positive('block_ffn_dim_multiplier'), c.count('block_multiple_of')]
  return multiple * Math.ceil(Math.floor(factor * Math.floor((2 * said) / 3)) / multiple)
}

function attends(c: ConfigReader, i: number): boolean {
  const listed = c.value('full_attn_idxs')
  const otherwise = () => !Array.isArray(listed) || listed.includes(i)
  const kinds = { conv: 'conv', full_attention: 'attention' } as const
  return c.layerKind(i, kinds, () => (otherwise() ? 'attention' : 'conv')) === 'attention'
}

/** Gated short convolutions between a few layers that attend. */
export const lfm2: Family = {
  modelType: 'lfm2',
  models: 'LFM2, dense',
  differs: 'gated short convolutions in most layers',
  architecture: 'Lfm2ForCausalLM',
  gguf: {
    architecture: 'lfm2',
    norms: { last: 'token_embd_norm' },
    kvHeadsByLayer: true,
    implied: ({ list, number }) => ({
      layer_types: list('attention.head_count_kv')?.map(heads => (heads > 0 ? 'full_attention' : 'conv')),
      conv_L_cache: number('shortconv.l_cache'),
      block_auto_adjust_ff_dim: false,
    }),
  },
  lastNorm: 'model.embedding_norm',
  ignores: [
    ...['block_dim', 'block_norm_eps', 'conv_dim', 'conv_dim_out', 'num_heads'],
    ...['block_mlp_init_scale', 'block_out_init_scale', 'block_use_xavier_init', 'conv_use_xavier_init'],
    ...['block_ffn_dim_multiplier', 'block_multiple_of'],
  ],
  defaults: {
    norm_eps: 1e-5,
    rope_theta: 1_000_000,
    max_position_embeddings: 128_000,
    tie_word_embeddings: true,
    intermediate_size: 12_288,
    conv_L_cache: 3,
    block_auto_adjust_ff_dim: true,
    block_ffn_dim_multiplier: 1,
    block_multiple_of: 256,
  },
  layer: (c, i) => ({
    mixer: attends(c, i)
      ? attention(c, i, {
          bias: { qkv: false, out: false },
          output: 'self_attn.out_proj',
          qkNorm: { over: 'head', names: ['self_attn.q_layernorm', 'self_attn.k_layernorm'] },
        })
      : shortConv(c, i),
    ffn: gatedMlp(c, i, {
      parts: ['feed_forward.w1', 'feed_forward.w3'],
      down: 'feed_forward.w2',
      width: mlpWidth(c),
      bias: false,
    }),
    norms: norms(c, i, { beforeMixer: 'operator_norm', beforeFfn: 'ffn_norm' }),
    scales: { residual: 1 },
  }),
}
