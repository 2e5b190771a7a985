import type { ModelFiles } from '../../formats/model-files.ts'
import { isOff } from './off.ts'

/** Where tools say that weights are quantised: transformers, MLX, older compressed-tensors. */
const places = ['quantization_config', 'quantization', 'compression_config']

/**
 * Refuses weights that `config.json` calls quantised and that do not read decoded: their numbers mean nothing without
 * their scales.
 *
 * @throws `unsupported` naming the format, with the way out
 */
export async function refuseQuantised({ spec, kind, config, quantised }: ModelFiles): Promise<void> {
  if (kind === 'gguf' || kind === 'artifact' || quantised !== undefined) return
  const place = places.find(key => !isOff(config[key]))
  if (place === undefined) return
  // Stacks of experts are read in these blocks.
  if ((Object(config[place]) as { quant_method?: unknown }).quant_method === 'mxfp4') return
  const { quantisedRefusal } = await import('./quantised-formats.ts')
  throw quantisedRefusal(spec, config, place)
}
