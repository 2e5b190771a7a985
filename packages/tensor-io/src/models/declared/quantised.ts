import { ReallmError } from '../../core/errors.ts'
import type { ModelFiles } from '../../formats/model-files.ts'
import { isOff } from './off.ts'

/** Where tools say that weights are quantised: transformers, MLX, older compressed-tensors. */
const places = ['quantization_config', 'quantization', 'compression_config']

export const openOriginal =
  'open the original model, or save it dequantised (in transformers: model.dequantize())'

/**
 * Refuses weights that `config.json` calls quantised: their numbers mean nothing without their scales.
 *
 * @throws `unsupported` naming the method
 */
export function refuseQuantised({ spec, kind, config }: Pick<ModelFiles, 'spec' | 'kind' | 'config'>): void {
  if (kind === 'gguf' || kind === 'artifact') return
  const place = places.find(key => !isOff(config[key]))
  if (place === undefined) return
  const { quant_method: named } = Object(config[place]) as { quant_method?: unknown }
  const method = typeof named === 'string' ? named : isOff(config.quantization) ? 'an unnamed method' : 'MLX'
  throw new ReallmError('unsupported', `${spec}: it is already quantised by ${method}, says ${place}`, {
    hint: `${openOriginal}; of plain weights, take ${place} out of config.json`,
  })
}
