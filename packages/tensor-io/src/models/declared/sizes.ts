import { ReallmError } from '../../core/errors.ts'
import type { ModelFiles } from '../../formats/model-files.ts'
import type { HuggingFaceConfig } from '../config-reader.ts'

/** Keys of `config.json` that are the size of some tensor, or divide one. */
const sizes = [
  ...['hidden_size', 'intermediate_size', 'vocab_size', 'head_dim'],
  ...['num_attention_heads', 'num_key_value_heads', 'query_pre_attn_scalar'],
  ...['mamba_n_heads', 'mamba_n_groups', 'mamba_d_head', 'mamba_d_state', 'mamba_d_conv', 'conv_L_cache'],
  ...['linear_num_key_heads', 'linear_num_value_heads', 'linear_key_head_dim', 'linear_value_head_dim'],
  'linear_conv_kernel_dim',
  'moe_intermediate_size',
]

/** What fits any memory: of smaller counts, the tensors that are missing tell more. */
const SMALL = 4096

/**
 * Compares the counts of a configuration with the tensors that are there, before anything of their size is made.
 *
 * @throws `bad-file` naming the key
 */
export function checkSizes(source: HuggingFaceConfig, files: ModelFiles): void {
  const refuse = (key: string, most: string) =>
    new ReallmError('bad-file', `${files.spec}: ${key} is ${source[key]}, but the weights have ${most}`, {
      hint: 'configuration and weights do not belong together',
    })
  const exceeds = (key: string, most: number) =>
    typeof source[key] === 'number' && source[key] > Math.max(SMALL, most)
  const count = files.tensors.size
  if (exceeds('num_hidden_layers', count)) throw refuse('num_hidden_layers', `${count} tensors`)
  const largest = largestSide(files)
  for (const key of sizes) if (exceeds(key, largest)) throw refuse(key, `no side longer than ${largest}`)
}

/** No side of a matrix is longer; lists of that length fit any memory. */
const LONGEST = 4e6

/** The longest side of a tensor that takes bytes or of an artifact's matrix, as far as the bytes of the files may reach. */
function largestSide({ tensors, artifact, bytes }: ModelFiles): number {
  let largest = 0
  for (const tensor of tensors.values()) {
    if (tensor.bytes > 0) largest = Math.max(largest, ...tensor.shape)
  }
  for (const { shape } of artifact?.modules.values() ?? []) largest = Math.max(largest, ...shape)
  return Math.min(largest, 8 * bytes, LONGEST)
}
