import { ReallmError } from '../core/errors.ts'
import type { Tensor } from '../core/tensor.ts'
import type { TensorStore } from '../formats/store.ts'

/** What an adapter does to one linear layer: `W' = W + scaling · B A`, for DoRA `m ⊙ (W + scaling · B A) / ‖·‖_row`. */
export interface AdapterModule {
  /** `[rank, in]` */
  readonly a: Tensor<'F32'>
  /** `[out, rank]` */
  readonly b: Tensor<'F32'>
  readonly scaling: number
  /** DoRA's row norms, `[out]`. */
  readonly magnitude?: Tensor<'F32'>
}

/** A LoRA, rsLoRA or DoRA adapter: its changes by module (`model.layers.0.self_attn.q_proj`). */
export interface Adapter {
  readonly modules: ReadonlyMap<string, AdapterModule>
  /** Name of the model it was trained on. */
  readonly base?: string
}

/** Names of PEFT's files. */
export const configName = 'adapter_config.json'
export const weightsName = 'adapter_model.safetensors'

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
