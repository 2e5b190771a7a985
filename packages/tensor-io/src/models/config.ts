import { ReallmError } from '../core/errors.ts'
import { ConfigReader, type HuggingFaceConfig } from './config-reader.ts'
import { type Family, findFamily, modelTypes } from './families/index.ts'
import { normsOf } from './layer-spec.ts'
import type { TransformerConfig } from './transformer-config.ts'

/** The family of a config.json. @throws `unsupported`, listing the known ones */
export async function familyOf(source: HuggingFaceConfig): Promise<Family> {
  const { model_type: name = null } = source
  const family = typeof name === 'string' ? await findFamily(name) : undefined
  if (family) return family
  throw new ReallmError(
    'unsupported',
    `config.json: the model family ${JSON.stringify(name)} is not supported`,
    {
      hint: `supported model types: ${modelTypes.join(', ')}`,
    },
  )
}

/**
 * Reads a Hugging Face `config.json`, of transformers 4 or 5.
 *
 * @throws `unsupported` for a family, rope type or activation that isn't there, listing those that are
 * @throws `bad-file` for a missing or impossible value, by its key
 * @example
 * const config = await parseConfig(JSON.parse(await readFile('config.json', 'utf8')))
 */
export async function parseConfig(source: HuggingFaceConfig): Promise<TransformerConfig> {
  const family = await familyOf(source)
  const config = new ConfigReader(source, family)
  const { layers } = config
  const layerSpecs = Array.from({ length: layers }, (_, i) => family.layer(config, i))
  const hiddenSize = config.count('hidden_size')
  const offset = normsOf(layerSpecs[0])[0].offset
  // transformers squashes the logits of families that GGUF knows to do so, and of no others
  const squashes = family.gguf.keys?.final_logit_softcapping !== undefined
  const logitSoftcap = squashes ? config.number('final_logit_softcapping') : undefined
  const bos = config.number('bos_token_id')
  const perLayerInputs = family.perLayerInputs?.(config)
  return {
    family,
    vocabSize: config.count('vocab_size'),
    hiddenSize,
    layers,
    layerSpecs,
    maxPositions: config.maxPositions,
    embeddingScale: family.embeddingScale?.(config) ?? 1,
    ...(perLayerInputs && { perLayerInputs }),
    norm: { name: family.lastNorm ?? 'model.norm', width: hiddenSize, eps: config.eps, offset },
    tiedHead: config.flag('tie_word_embeddings'),
    logitScale: family.logitScale?.(config) ?? 1,
    ...(logitSoftcap !== undefined && { logitSoftcap }),
    ...(bos !== undefined && { bos }),
    eos: tokenIds(config.value('eos_token_id')),
    source,
  }
}

/** One id, a list of ids or nothing, as a list. */
export const tokenIds = (ids: unknown): number[] =>
  (Array.isArray(ids) ? ids : [ids]).filter((id): id is number => typeof id === 'number')
