import { openFileSource, openSafetensors, ReallmError, readAll, type TensorStore } from '@reallm/tensor-io'
import { type Adapter, type AdapterModule, configName, weightsName } from './adapter.ts'

/**
 * Reads an adapter directory in PEFT's layout (`adapter_config.json`, `adapter_model.safetensors`).
 *
 * @throws `unsupported` for adapters other than LoRA, rsLoRA and DoRA on linear layers
 * @example
 * const model = adapted(await openWeights('base'), await readAdapter('my-adapter'))
 */
export async function readAdapter(directory: string): Promise<Adapter> {
  const source = await openFileSource(`${directory}/${configName}`)
  const text = new TextDecoder().decode(await readAll(source))
  await source.close()
  let config: unknown
  try {
    config = JSON.parse(text)
  } catch (cause) {
    throw new ReallmError('bad-file', `${directory}: ${configName} is not JSON`, { cause })
  }
  const file = await openSafetensors(await openFileSource(`${directory}/${weightsName}`))
  try {
    return await parseAdapter(config as Record<string, unknown>, file)
  } finally {
    await file.close()
  }
}

/** Settings that would change what the weights mean. */
const mustBeOff = [
  'fan_in_fan_out',
  'modules_to_save',
  'use_qalora',
  'use_bdlora',
  'lora_bias',
  'layer_replication',
]

/** An adapter from the contents of its two files, wherever they are. */
export async function parseAdapter(
  config: Readonly<Record<string, unknown>>,
  tensors: TensorStore,
): Promise<Adapter> {
  const refuse = (what: string) =>
    new ReallmError('unsupported', `${configName}: ${what}`, { hint: 'LoRA, rsLoRA and DoRA are supported' })
  if (config.peft_type !== 'LORA') throw refuse(`peft_type ${config.peft_type} is not supported`)
  if ((config.bias ?? 'none') !== 'none') throw refuse(`bias ${config.bias} is not supported`)
  for (const key of mustBeOff) if (config[key]) throw refuse(`${key} is not supported`)

  const found = new Map<string, Partial<Record<Part, string>>>()
  for (const name of tensors.tensors.keys()) {
    const [, module, part] =
      /^base_model\.model\.(.*)\.(lora_A|lora_B|lora_magnitude_vector)(?:\.default)?(?:\.weight)?$/.exec(
        name,
      ) ?? []
    if (module === undefined) throw refuse(`the tensor ${name} is no part of a LoRA adapter on linear layers`)
    found.set(module, { ...found.get(module), [part]: name })
  }

  const modules = new Map<string, AdapterModule>()
  for (const [module, names] of found) {
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
    const alpha = patternValue(config.alpha_pattern, module) ?? config.lora_alpha
    if (typeof alpha !== 'number') throw new ReallmError('bad-file', `${configName}: lora_alpha is no number`)
    modules.set(module, {
      a,
      b,
      scaling: alpha / (config.use_rslora ? Math.sqrt(rank) : rank),
      ...(config.use_dora === true && { magnitude: await read('lora_magnitude_vector') }),
    })
  }
  const base = config.base_model_name_or_path
  return { modules, ...(typeof base === 'string' && { base }) }
}

type Part = 'lora_A' | 'lora_B' | 'lora_magnitude_vector'

/** PEFT's patterns: a key matches a module that it ends, as a regular expression. */
function patternValue(pattern: unknown, module: string): number | undefined {
  const entries = Object.entries((pattern ?? {}) as Record<string, number>)
  return entries.find(([key]) => new RegExp(`^(.*\\.)?(${key})$`).test(module))?.[1]
}
