import { awq } from './awq.ts'
import { compressedTensors } from './compressed-tensors.ts'
import { fp8, isBlock } from './fp8.ts'
import { gptq } from './gptq.ts'
import type { SchemeOrReason, Settings } from './scheme.ts'

const schemes: Readonly<Record<string, (settings: Settings) => SchemeOrReason>> = {
  gptq,
  awq,
  'compressed-tensors': compressedTensors,
  fp8: ({ weight_block_size: block }) =>
    isBlock(block)
      ? fp8(`FP8, a scale for each block of ${block.join('×')}`, block)
      : fp8('FP8, a scale for each matrix or row'),
  fbgemm_fp8: () => fp8('FP8 (FBGEMM), a scale for each row'),
  modelopt: ({ quant_algo: algorithm }) =>
    algorithm === 'FP8'
      ? fp8('FP8 (ModelOpt), a scale for each matrix')
      : { reason: `ModelOpt, ${algorithm}` },
}

/** How `config.json` says that weights are quantised, as far as that is read here; undefined where it says nothing of it. */
export function schemeOf(config: Readonly<Record<string, unknown>>): SchemeOrReason | undefined {
  const settings = Object(config.quantization_config) as Settings
  const { quant_method: method } = settings
  return typeof method === 'string' && Object.hasOwn(schemes, method) ? schemes[method](settings) : undefined
}
