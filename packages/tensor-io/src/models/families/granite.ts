import { ReallmError } from '../../core/errors.ts'
import type { ConfigReader, HuggingFaceConfig } from '../config-reader.ts'
import { attention, gatedMlp, llamaLayer, norms, normsBefore } from './blocks.ts'
import type { Family, GgufLookup } from './family.ts'
import { mamba2 } from './recurrent.ts'

const multipliers = {
  embedding_multiplier: 'embedding_scale',
  residual_multiplier: 'residual_scale',
  attention_multiplier: 'attention.scale',
  logits_scaling: 'logit_scale',
} as const

const noMultipliers = {
  embedding_multiplier: 1,
  residual_multiplier: 1,
  attention_multiplier: 1,
  logits_scaling: 1,
}

/** Factors of embeddings and logits. */
const outside: Pick<Family, 'embeddingScale' | 'logitScale'> = {
  embeddingScale: c => c.positive('embedding_multiplier'),
  logitScale: c => 1 / c.positive('logits_scaling'),
}

/** Factors of embeddings, residuals, attention and logits. */
export const granite: Family = {
  modelType: 'granite',
  models: 'Granite 3, dense',
  differs: 'factors of embeddings, residuals, attention and logits',
  architecture: 'GraniteForCausalLM',
  gguf: {
    architecture: 'granite',
    permutes: true,
    biases: ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'],
    ropeTensors: ['rope_freqs.weight'],
    keys: multipliers,
  },
  defaults: noMultipliers,
  layer: (c, i) => ({
    ...llamaLayer(c, i, { scale: c.positive('attention_multiplier') }),
    scales: { residual: c.positive('residual_multiplier') },
  }),
  ...outside,
}

/** As transformers 4 and 5 call them. */
const kinds = {
  mamba: 'mamba',
  linear_attention: 'mamba',
  attention: 'attention',
  full_attention: 'attention',
} as const

/** Mamba-2 and attention, most often without a rotary embedding. */
export const graniteHybrid: Family = {
  modelType: 'granitemoehybrid',
  models: 'Granite 4 hybrid, dense',
  differs: 'Mamba-2 in most layers; factors as in Granite',
  architecture: 'GraniteMoeHybridForCausalLM',
  gguf: {
    architecture: 'granitehybrid',
    permutes: true,
    biases: ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ssm_conv1d', 'ssm_dt'],
    keys: multipliers,
    apart: true,
    kvHeadsByLayer: true,
    written: (_, c) => ({ 'rope.scaling.finetuned': { type: 'bool', value: hasRope(c) } }),
    implied: hybridOf,
  },
  defaults: {
    ...noMultipliers,
    num_local_experts: 8,
    shared_intermediate_size: 1024,
    mamba_n_heads: 128,
    mamba_n_groups: 1,
    mamba_d_state: 256,
    mamba_d_head: 'auto',
    mamba_d_conv: 4,
    mamba_expand: 2,
    mamba_conv_bias: true,
  },
  layer: (c, i) => {
    requireDense(c)
    return {
      mixer:
        c.layerKind(i, kinds, () => 'mamba') === 'mamba'
          ? mamba2(c, i)
          : attention(c, i, {
              hasRope: hasRope(c),
              scale: c.positive('attention_multiplier'),
            }),
      ffn: gatedMlp(c, i, {
        parts: 'shared_mlp.input_linear',
        down: 'shared_mlp.output_linear',
        width: c.count('shared_intermediate_size'),
        bias: false,
      }),
      norms: norms(c, i, normsBefore),
      scales: { residual: c.positive('residual_multiplier') },
    }
  },
  ...outside,
}

const hasRope = (c: ConfigReader) => c.value('position_embedding_type') === 'rope'

function hybridOf({ list, number, optional, flag, has }: GgufLookup): HuggingFaceConfig {
  const [inner, heads] = [number('ssm.inner_size'), number('ssm.time_step_rank')]
  return {
    layer_types: list('attention.head_count_kv')?.map(heads =>
      heads > 0 ? 'full_attention' : 'linear_attention',
    ),
    position_embedding_type: (flag('rope.scaling.finetuned') ?? true) ? 'rope' : null,
    num_local_experts: optional('expert_count') ?? 0,
    shared_intermediate_size: number('feed_forward_length'),
    mamba_n_heads: heads,
    mamba_d_head: inner / heads,
    mamba_n_groups: number('ssm.group_count'),
    mamba_d_state: number('ssm.state_size'),
    mamba_d_conv: number('ssm.conv_kernel'),
    mamba_expand: inner / number('embedding_length'),
    mamba_conv_bias: has('ssm_conv1d.bias'),
  }
}

function requireDense(c: ConfigReader): void {
  const experts = c.number('num_local_experts') ?? 0
  if (experts === 0) return
  throw new ReallmError('unsupported', `config.json: num_local_experts ${experts} is not supported`, {
    hint: 'mixtures of experts of this family are not supported: open a dense model',
  })
}
