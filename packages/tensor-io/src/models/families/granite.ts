import type { GgufValue } from '../../formats/gguf/values.ts'
import type { ConfigReader, HuggingFaceConfig } from '../config-reader.ts'
import type { ExpertStack, FeedForward } from '../layer-spec.ts'
import type { RopeParameters } from '../rope.ts'
import { attention, experts, gatedMlp, llamaLayer, norms, normsBefore } from './blocks.ts'
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

/** Mamba-2 and attention, most often without a rotary embedding; one MLP for all positions, and in larger models experts. */
export const graniteHybrid: Family = {
  modelType: 'granitemoehybrid',
  models: 'Granite 4 hybrid',
  differs: 'Mamba-2 in most layers; factors as in Granite; experts beside a shared MLP',
  architecture: 'GraniteMoeHybridForCausalLM',
  gguf: {
    architecture: 'granitehybrid',
    permutes: true,
    biases: ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ssm_conv1d', 'ssm_dt'],
    keys: multipliers,
    apart: true,
    kvHeadsByLayer: true,
    written: hybridToGguf,
    implied: hybridFromGguf,
  },
  defaults: {
    ...noMultipliers,
    num_local_experts: 8,
    num_experts_per_tok: 2,
    shared_intermediate_size: 1024,
    mamba_n_heads: 128,
    mamba_n_groups: 1,
    mamba_d_state: 256,
    mamba_d_head: 'auto',
    mamba_d_conv: 4,
    mamba_expand: 2,
    mamba_conv_bias: true,
  },
  // Training, how kernels cut texts, and what models without experts or rotary embeddings say of them.
  ignores: ['init_method', 'mamba_chunk_size', 'intermediate_size', 'num_experts_per_tok', 'rope_parameters'],
  layer: (c, i) => ({
    mixer:
      c.layerKind(i, kinds, () => 'mamba') === 'mamba'
        ? mamba2(c, i)
        : attention(c, i, { hasRope: hasRope(c), scale: c.positive('attention_multiplier') }),
    ffn: feedForward(c, i),
    norms: norms(c, i, normsBefore),
    scales: { residual: c.positive('residual_multiplier') },
  }),
  ...outside,
}

const hasRope = (c: ConfigReader) => c.value('position_embedding_type') === 'rope'
const hasExperts = (c: ConfigReader) => (c.number('num_local_experts') ?? 0) > 0

function feedForward(c: ConfigReader, i: number): FeedForward {
  const shared = gatedMlp(c, i, {
    parts: 'shared_mlp.input_linear',
    down: 'shared_mlp.output_linear',
    width: c.count('shared_intermediate_size'),
    bias: false,
  })
  if (!hasExperts(c)) return shared
  return experts(c, i, {
    count: c.experts('num_local_experts'),
    chosen: c.count('num_experts_per_tok'),
    softmaxOver: 'chosen',
    router: { name: 'block_sparse_moe.router.layer' },
    within: 'block_sparse_moe.experts',
    expert: { bias: false },
    stacks: [stack(['gate', 'up'], 'input_linear'), stack(['down'], 'output_linear')],
    shared,
  })
}

const stack = (parts: ExpertStack['parts'], name: string): ExpertStack => ({
  parts,
  weight: `block_sparse_moe.${name}.weight`,
  bias: undefined,
  transposed: false,
  interleaved: false,
})

function hybridToGguf(_: RopeParameters, c: ConfigReader): Record<string, GgufValue> {
  const rope: GgufValue = { type: 'bool', value: hasRope(c) }
  const shared: GgufValue = { type: 'uint32', value: c.count('shared_intermediate_size') }
  return {
    'rope.scaling.finetuned': rope,
    ...(hasExperts(c) && { expert_shared_feed_forward_length: shared }),
  }
}

function hybridFromGguf({ list, number, optional, flag, has }: GgufLookup): HuggingFaceConfig {
  const [inner, heads] = [number('ssm.inner_size'), number('ssm.time_step_rank')]
  const [width, shared] = [number('feed_forward_length'), optional('expert_shared_feed_forward_length')]
  const num_local_experts = optional('expert_count') ?? 0
  return {
    layer_types: list('attention.head_count_kv')?.map(heads =>
      heads > 0 ? 'full_attention' : 'linear_attention',
    ),
    position_embedding_type: (flag('rope.scaling.finetuned') ?? true) ? 'rope' : null,
    num_local_experts,
    shared_intermediate_size: num_local_experts > 0 ? shared : width,
    mamba_n_heads: heads,
    mamba_d_head: inner / heads,
    mamba_n_groups: number('ssm.group_count'),
    mamba_d_state: number('ssm.state_size'),
    mamba_d_conv: number('ssm.conv_kernel'),
    mamba_expand: inner / number('embedding_length'),
    mamba_conv_bias: has('ssm_conv1d.bias'),
  }
}
