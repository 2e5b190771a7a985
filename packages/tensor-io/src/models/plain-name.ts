/** Modules that training frameworks and multimodal models wrap around a decoder or one of its modules. */
const wrappers = new Set([
  '_orig_mod', // torch.compile
  'module', // DistributedDataParallel
  '_fsdp_wrapped_module',
  '_checkpoint_wrapped_module',
  'language_model',
])

/**
 * The name that a tensor or module has in a `…ForCausalLM` of transformers, of its name in a checkpoint that was saved
 * wrapped (compiled, distributed, by PEFT, out of a multimodal model) or without the head (`AutoModel`).
 *
 * @example
 * plainName('_orig_mod.model.norm.weight') // 'model.norm.weight'
 * plainName('layers.0.mlp.up_proj.weight') // 'model.layers.0.mlp.up_proj.weight'
 */
export function plainName(name: string): string {
  const unwrapped = name
    .split('.')
    .filter(part => !wrappers.has(part))
    .join('.')
    .replace(/^base_model\.model\./, '')
    // an attribute `model` of whatever trained it
    .replace(/^model\.(?=model\.|lm_head\.)/, '')
  return /^(layers|embed_tokens|norm|embedding_norm)\./.test(unwrapped) ? `model.${unwrapped}` : unwrapped
}
