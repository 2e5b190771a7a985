import type { HuggingFaceConfig } from '../config-reader.ts'

/** Where multimodal models keep the configuration of their text decoder. */
const places = ['text_config', 'llm_config', 'language_config']

/** What a decoder's configuration may leave to that of the whole model. */
const shared = [
  ...['dtype', 'torch_dtype', 'tie_word_embeddings', 'bos_token_id', 'eos_token_id', 'pad_token_id'],
  'quantization_config',
]

/** A decoder's configuration, and, where it is part of one, what the whole model is called. */
export interface TextDecoder {
  readonly source: HuggingFaceConfig
  readonly wrapper: string | undefined
}

/**
 * The configuration of the text decoder of a multimodal model, which stands in one of its own; of any other model its
 * configuration.
 */
export function textDecoder(config: HuggingFaceConfig): TextDecoder {
  const inner = places.map(place => config[place]).find(isObject)
  if (!inner) return { source: config, wrapper: undefined }
  const own = Object.fromEntries(
    shared.flatMap(key =>
      config[key] === undefined || inner[key] !== undefined ? [] : [[key, config[key]]],
    ),
  )
  // An `architectures` of the whole model is none of the decoder's.
  return { source: { ...own, ...inner }, wrapper: String(config.model_type ?? 'a model without a name') }
}

const isObject = (value: unknown): value is HuggingFaceConfig =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
