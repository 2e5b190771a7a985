/**
 * Keys of `config.json` that say nothing about what is computed: bookkeeping of transformers and of tools, settings of
 * training and of generation. What a family reads needs no entry.
 */
export const harmlessKeys: ReadonlySet<string> = new Set([
  // bookkeeping
  ...[
    'architectures',
    'model_type',
    'transformers_version',
    'transformers.js_config',
    'dtype',
    'torch_dtype',
  ],
  ...['_name_or_path', '_commit_hash', '_attn_implementation', '_attn_implementation_autoset', 'torchscript'],
  ...[
    'is_llama_config',
    'unsloth_version',
    'unsloth_fixed',
    'use_bfloat16',
    'pretraining_tp',
    'tokenizer_class',
  ],
  ...[
    'use_cache',
    'cache_implementation',
    'is_decoder',
    'tie_encoder_decoder',
    'cross_attention_hidden_size',
  ],
  ...[
    'chunk_size_feed_forward',
    'output_attentions',
    'output_hidden_states',
    'return_dict',
    'tf_legacy_loss',
  ],
  // training
  ...['initializer_range', 'attention_dropout', 'hidden_dropout', 'embd_pdrop', 'resid_pdrop', 'attn_pdrop'],
  ...['classifier_dropout', 'output_router_logits', 'router_aux_loss_coef'],
  // heads of other tasks
  ...['id2label', 'label2id', 'num_labels', 'problem_type', 'finetuning_task', 'task_specific_params'],
  // generation
  ...['bos_token_id', 'eos_token_id', 'pad_token_id', 'sep_token_id', 'decoder_start_token_id', 'prefix'],
  ...[
    'max_length',
    'min_length',
    'do_sample',
    'early_stopping',
    'num_beams',
    'num_beam_groups',
    'top_k',
    'top_p',
  ],
  ...[
    'temperature',
    'typical_p',
    'diversity_penalty',
    'repetition_penalty',
    'length_penalty',
    'bad_words_ids',
  ],
  ...[
    'no_repeat_ngram_size',
    'encoder_no_repeat_ngram_size',
    'num_return_sequences',
    'return_dict_in_generate',
  ],
  ...[
    'forced_bos_token_id',
    'forced_eos_token_id',
    'suppress_tokens',
    'begin_suppress_tokens',
    'output_scores',
  ],
  ...['remove_invalid_values', 'exponential_decay_length_penalty'],
  // what layer_types and rope_parameters stand for where they are given, and what fixed families ignore
  ...[
    'layer_types',
    'sliding_window',
    'use_sliding_window',
    'max_window_layers',
    'attention_bias',
    'hidden_act',
  ],
  ...[
    'sliding_window_pattern',
    '_sliding_window_pattern',
    'rope_theta',
    'rope_scaling',
    'rope_local_base_freq',
  ],
  // of an artifact, which has been opened by it
  'quantization_config',
])

/** Keys that are fine with these values, and change what is computed with others. */
export const fixedKeys: Readonly<Record<string, readonly unknown[]>> = {
  is_encoder_decoder: [false],
  add_cross_attention: [false],
  use_bidirectional_attention: [false],
  rope_interleaved: [false],
  attn_output_gate: [true],
  block_use_swiglu: [true],
  normalization_function: ['rmsnorm'],
  use_pos_enc: [true],
}

/** Keys of `rope_scaling` and `rope_parameters` that are read, and those that say nothing about texts. */
export const ropeKeys: ReadonlySet<string> = new Set([
  ...['rope_type', 'type', 'rope_theta', 'factor', 'original_max_position_embeddings', 'attention_factor'],
  ...[
    'low_freq_factor',
    'high_freq_factor',
    'mscale',
    'mscale_all_dim',
    'beta_fast',
    'beta_slow',
    'truncate',
  ],
  ...['partial_rotary_factor', 'short_factor', 'long_factor', 'alpha', 'llama_4_scaling_beta'],
  ...['finetuned', 'mrope_section', 'mrope_interleaved'],
])

/** Keys below the architecture of a GGUF file that say nothing about what is computed. */
export const harmlessGgufKeys: ReadonlySet<string> = new Set([
  'vocab_size',
  'rope.scaling.finetuned',
  // of places in images, which texts do not have
  'rope.dimension_sections',
])

/** Keys below the architecture of a GGUF file that are fine with the width of a head. */
export const headWidthKeys: ReadonlySet<string> = new Set(['rope.dimension_count', 'attention.value_length'])

/** Keys of GGUF files that are not about what a decoder computes. */
export const ggufSections = ['general.', 'tokenizer.', 'quantize.', 'split.', 'GGUF.']
