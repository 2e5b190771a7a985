import { isOff } from '../declared/off.ts'

/** Keys of PEFT's `adapter_config.json` that are read. */
const used = [
  'peft_type',
  'base_model_name_or_path',
  'r',
  'rank_pattern',
  'lora_alpha',
  'alpha_pattern',
  'use_rslora',
  'use_dora',
  'bias',
  'init_lora_weights',
]

/** Keys that say how an adapter was trained or saved, and nothing about what its weights mean. */
const harmless = [
  'task_type',
  'inference_mode',
  'lora_dropout',
  'revision',
  'auto_mapping',
  'peft_version',
  'target_modules',
  'exclude_modules',
  'layers_to_transform',
  'layers_pattern',
  'megatron_core',
  'qalora_group_size',
  'runtime_config',
  'ensure_weight_tying',
  // of the initialisations, which have their own check
  'loftq_config',
  'eva_config',
  'corda_config',
  'lora_ga_config',
]

const known = new Set([...used, ...harmless])

/** Initialisations of PEFT that leave the base as it was. */
const plainStarts = ['gaussian', 'orthogonal', 'eva', 'mica']

/** The first key of an `adapter_config.json` that may change what the weights mean and is not known here. */
export const unknownKey = (config: Readonly<Record<string, unknown>>): string | undefined =>
  Object.keys(config).find(key => !known.has(key) && !isOff(config[key]))

/** Whether adapters that started so belong to the base as it was published. */
export const keepsBase = (init: unknown): boolean =>
  init === undefined ||
  init === null ||
  typeof init === 'boolean' ||
  (typeof init === 'string' && plainStarts.includes(init.toLowerCase()))
