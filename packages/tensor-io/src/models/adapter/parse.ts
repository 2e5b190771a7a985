import { ReallmError } from '../../core/errors.ts'
import { guarded } from '../../core/guard.ts'
import type { TensorStore } from '../../formats/store.ts'
import { plainName } from '../plain-name.ts'
import { type Adapter, type AdapterModule, configName } from './adapter.ts'
import { keepsBase, unknownKey } from './known-keys.ts'

type Config = Readonly<Record<string, unknown>>
type Part = 'lora_A' | 'lora_B' | 'lora_magnitude_vector'

/**
 * An adapter from the contents of its two files, wherever they are.
 *
 * @throws `unsupported` for other kinds than LoRA, rsLoRA and DoRA on linear layers, for settings that are not known
 *   here, and for adapters that belong to a base that their initialisation changed
 * @throws `bad-file` for factors that are missing or do not fit each other or the configuration, and for no factors at all
 */
export async function parseAdapter(config: Config, tensors: TensorStore): Promise<Adapter> {
  checkConfig(config)
  const modules = new Map<string, AdapterModule>()
  for (const [module, names] of partsByModule(tensors)) {
    const read = async (part: Part) => {
      const name = names[part]
      if (name === undefined) throw new ReallmError('bad-file', `the adapter of ${module} has no ${part}`)
      return tensors.readFloat32(name)
    }
    const a = await read('lora_A')
    const b = await read('lora_B')
    const rank = a.shape[0]
    if (a.shape.length !== 2 || b.shape.length !== 2 || b.shape[1] !== rank) {
      const shapes = `[${a.shape.join('×')}] and [${b.shape.join('×')}]`
      throw new ReallmError('bad-file', `the adapter of ${module} has factors ${shapes} that do not fit`)
    }
    const declared = (await patternValue(config, 'rank_pattern', module)) ?? config.r
    if (typeof declared === 'number' && declared !== rank) {
      throw new ReallmError('bad-file', `${configName}: ${module} has rank ${declared}, its factors ${rank}`)
    }
    const alpha = (await patternValue(config, 'alpha_pattern', module)) ?? config.lora_alpha
    if (typeof alpha !== 'number') throw badConfig('lora_alpha is no number')
    const dora = config.use_dora === true
    if (!dora && names.lora_magnitude_vector !== undefined) {
      throw new ReallmError('bad-file', `the adapter of ${module} has a magnitude, but use_dora is not set`, {
        hint: `set use_dora to true in ${configName}`,
      })
    }
    const scaling = alpha / (config.use_rslora ? Math.sqrt(rank) : rank)
    const magnitude = dora ? await read('lora_magnitude_vector') : undefined
    modules.set(module, { a, b, scaling, magnitude })
  }
  if (modules.size === 0)
    throw new ReallmError('bad-file', 'the adapter holds no tensors, so it would change nothing')
  const base = config.base_model_name_or_path
  return { modules, base: typeof base === 'string' ? base : undefined }
}

const refuse = (what: string, hint = 'LoRA, rsLoRA and DoRA on linear layers are supported') =>
  new ReallmError('unsupported', `${configName}: ${what}`, { hint })

const merge = "merge it in PEFT, model.merge_and_unload().save_pretrained('NEW'), and use that model"

function checkConfig(config: Config): void {
  if (config.peft_type !== 'LORA') throw refuse(`peft_type ${config.peft_type} is not supported`)
  if ((config.bias ?? 'none') !== 'none') throw refuse(`bias ${config.bias} is not supported`, merge)
  const init = config.init_lora_weights
  if (!keepsBase(init)) {
    throw refuse(
      `init_lora_weights ${JSON.stringify(init)} changed the base model before training, so the adapter does not fit the published one`,
      merge,
    )
  }
  const unknown = unknownKey(config)
  if (unknown !== undefined) {
    throw refuse(`${unknown} is not supported, and may change what the weights mean`, merge)
  }
}

/** Names of an adapter's tensors by the module that they change. */
function partsByModule({ tensors }: TensorStore): Map<string, Partial<Record<Part, string>>> {
  const found = new Map<string, Partial<Record<Part, string>>>()
  for (const name of tensors.keys()) {
    const [, stored, part] =
      /^(.*)\.(lora_A|lora_B|lora_magnitude_vector)(?:\.default)?(?:\.weight)?$/.exec(name) ?? []
    if (stored === undefined || !stored.includes('base_model.model.')) {
      throw new ReallmError(
        'unsupported',
        `the tensor ${name} is no part of a LoRA adapter on linear layers`,
        { hint: merge },
      )
    }
    const module = plainName(stored)
    const parts = found.get(module) ?? {}
    const twice = parts[part as Part]
    if (twice !== undefined) {
      throw new ReallmError('bad-file', `the adapter of ${module} is there twice: ${twice} and ${name}`)
    }
    found.set(module, { ...parts, [part]: name })
  }
  return found
}

/** Modules have short names; patterns are matched with no longer ones. */
const longestName = 512

/** PEFT's patterns: a key matches a module that it ends, as a regular expression. */
async function patternValue(
  config: Config,
  key: 'rank_pattern' | 'alpha_pattern',
  module: string,
): Promise<number | undefined> {
  const patterns = config[key] ?? {}
  if (typeof patterns !== 'object' || Array.isArray(patterns))
    throw badConfig(`${key} is no table of patterns`)
  const entries = Object.entries(patterns)
  if (entries.length === 0) return undefined
  const { checkPattern } = await import('../check-pattern.ts')
  for (const [pattern, value] of entries) {
    checkPattern(configName, pattern)
    const expression = guarded(
      configName,
      `the pattern ${JSON.stringify(pattern)} of ${key} cannot be read`,
      () => new RegExp(`^(.*\\.)?(${pattern})$`),
    )
    if (module.length > longestName || !expression.test(module)) continue
    if (typeof value !== 'number') throw badConfig(`${key} of ${JSON.stringify(pattern)} is no number`)
    return value
  }
  return undefined
}

const badConfig = (what: string) => new ReallmError('bad-file', `${configName}: ${what}`)
