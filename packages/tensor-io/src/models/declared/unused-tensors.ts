import { tensorsOf } from '../../formats/artifact/manifest.ts'
import type { ModelFiles } from '../../formats/model-files.ts'

/** Tensors that follow from the configuration, or were read with it, and scales of caches in 8 bits, which none are here. */
const harmless =
  /(\.rotary_emb\.(inv_freq|cos_cached|sin_cached)|^rope_(freqs|factors_long|factors_short)\.weight|\.self_attn\.(attn\.)?[kv]_scale)$/

/** Names of the stored tensors that a model does not use. */
export function unusedTensors(files: ModelFiles, used: Iterable<string>): string[] {
  const left = new Set(files.tensors.keys())
  for (const name of used) {
    left.delete(name)
    const module = name.replace(/\.weight$/, '')
    const stored = files.artifact?.modules.get(module)
    if (stored) for (const part of tensorsOf(module, stored).values()) left.delete(part)
  }
  return [...left].filter(name => !harmless.test(name))
}

/** Whether a tensor lies in the embedding, the last norm, the head or one of the layers. */
export function isInside(name: string, layers: number): boolean {
  const layer = /^(?:model\.layers|blk)\.(\d+)\./.exec(name)
  if (layer) return Number(layer[1]) < layers
  return /^(model\.embed_tokens|model\.(?:embedding_)?norm|lm_head|token_embd|token_embd_norm|output_norm|output)\./.test(
    name,
  )
}
