import { openOriginal } from './open-original.ts'

/** What tensors beside those of a model are known to belong to. */
interface Layout {
  readonly tensors: RegExp
  /** Completes "which belongs to …". */
  readonly what: string
  readonly hint: string
}

const experts = 'mixtures of experts of this family are not supported: open a dense model'
const layouts: readonly Layout[] = [
  {
    tensors: /\.weight_scale_inv$/,
    what: 'FP8 weights',
    hint: 'config.json has to say so: put the quantization_config of the model there',
  },
  {
    tensors: /\.(qweight|qzeros|g_idx)$/,
    what: 'weights quantised by GPTQ or AWQ',
    hint: 'config.json has to say how: put the quantization_config of the model there',
  },
  {
    tensors: /\.(SCB|weight_format|weight\.(absmax|quant_map|nested_\w+|quant_state\..*))$/,
    what: 'weights quantised by bitsandbytes',
    hint: openOriginal,
  },
  {
    tensors: /\.(weight_packed|weight_scale|weight_zero_point|weight_shape|weight_scale_2|input_scale)$/,
    what: 'weights quantised by compressed-tensors or ModelOpt',
    hint: openOriginal,
  },
  { tensors: /_(blocks|scales)$/, what: 'weights in MXFP4', hint: openOriginal },
  { tensors: /\.(scales|biases)$/, what: 'weights quantised by MLX, AWQ or HQQ', hint: openOriginal },
  {
    tensors: /\.(lora_\w+|base_layer)\b/,
    what: 'an adapter that was not merged',
    hint: "merge it in PEFT: model.merge_and_unload().save_pretrained('NEW')",
  },
  {
    tensors: /(experts?|router|gate_inp\w*|_exps|_shexp)\b|mlp\.gate\.weight$/,
    what: 'a mixture of experts',
    hint: experts,
  },
  {
    tensors: /(qkv\w*|c_attn|query_key_value|W_pack|gate_up_proj|attn_qkv)\.(weight|bias)$/,
    what: 'projections that are stored fused',
    hint: 'fused projections of this family are not supported: save the model with one tensor a projection',
  },
  {
    tensors: /\.bias$/,
    what: 'biases that the configuration does not have',
    hint: 'if the model has them, set attention_bias or mlp_bias to true in config.json',
  },
]

/** What the first recognised of some tensors belongs to, and the way out. */
export function recognised(
  names: readonly string[],
): { name: string; what: string; hint: string } | undefined {
  for (const { tensors, what, hint } of layouts) {
    const name = names.find(stored => tensors.test(stored))
    if (name !== undefined) return { name, what, hint }
  }
  return undefined
}
