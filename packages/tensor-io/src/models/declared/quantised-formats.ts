import { ReallmError } from '../../core/errors.ts'
import { schemeOf } from '../../formats/quantised/scheme-of.ts'
import { isOff } from './off.ts'
import { openOriginal } from './open-original.ts'

/** A format of quantised weights that is not read, and what to do instead. */
interface Format {
  readonly name: string
  readonly wayOut: string
}

const onlyOriginal = 'open the original model: no tool writes these weights back as floats'

/** Formats by what `quant_method` calls them. Others go by that name. */
const formats: Readonly<Record<string, Format>> = {
  bitsandbytes: { name: 'bitsandbytes', wayOut: openOriginal },
  hqq: { name: 'HQQ', wayOut: openOriginal },
  quanto: { name: 'Quanto', wayOut: openOriginal },
  torchao: { name: 'torchao', wayOut: openOriginal },
  eetq: { name: 'EETQ', wayOut: openOriginal },
  aqlm: { name: 'AQLM', wayOut: onlyOriginal },
  quip: { name: 'QuIP#', wayOut: onlyOriginal },
  quip_sharp: { name: 'QuIP#', wayOut: onlyOriginal },
  exl2: { name: 'EXL2 (ExLlamaV2)', wayOut: onlyOriginal },
  exl3: { name: 'EXL3 (ExLlamaV3)', wayOut: onlyOriginal },
  spqr: { name: 'SpQR', wayOut: onlyOriginal },
  vptq: { name: 'VPTQ', wayOut: onlyOriginal },
  higgs: { name: 'HIGGS', wayOut: onlyOriginal },
  bitnet: { name: 'BitNet', wayOut: onlyOriginal },
  'auto-round': {
    name: 'AutoRound',
    wayOut: 'open the original model, or export it for AutoGPTQ or AutoAWQ',
  },
}

const mlx: Format = {
  name: 'MLX',
  wayOut: 'open the original model, or save it dequantised (mlx_lm.convert --dequantize)',
}

/** The refusal of weights that a key of `config.json` calls quantised. */
export function quantisedRefusal(
  spec: string,
  config: Readonly<Record<string, unknown>>,
  place: string,
): ReallmError {
  const { name, wayOut } = formatOf(config, place)
  return new ReallmError('unsupported', `${spec}: it is already quantised by ${name}, says ${place}`, {
    hint: `${wayOut}; of plain weights, take ${place} out of config.json`,
  })
}

/** The format that a key of `config.json` names. */
function formatOf(config: Readonly<Record<string, unknown>>, place: string): Format {
  const scheme = schemeOf(config)
  if (scheme && 'reason' in scheme) return { name: scheme.reason, wayOut: openOriginal }
  const { quant_method: method } = Object(config[place]) as { quant_method?: unknown }
  if (typeof method === 'string') {
    const known = method.replace(/^intel\//, '').toLowerCase()
    return Object.hasOwn(formats, known) ? formats[known] : { name: method, wayOut: openOriginal }
  }
  return isOff(config.quantization) ? { name: 'an unnamed method', wayOut: openOriginal } : mlx
}
