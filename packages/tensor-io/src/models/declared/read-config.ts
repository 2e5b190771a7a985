import { ReallmError } from '../../core/errors.ts'
import type { ModelFiles } from '../../formats/model-files.ts'
import { familyOf, parseConfig } from '../config.ts'
import type { HuggingFaceConfig } from '../config-reader.ts'
import { attentionsOf } from '../layer-spec.ts'
import type { TransformerConfig } from '../transformer-config.ts'
import { unknownConfigKeys, unknownGgufKeys } from './config-keys.ts'
import { hasOwnHead } from './own-head.ts'
import { refuseQuantised } from './quantised.ts'
import { recorded } from './recorded.ts'
import { checkSizes } from './sizes.ts'
import { storedNames } from './stored-names.ts'
import { type TextDecoder, textDecoder } from './text-decoder.ts'

export interface ReadConfig {
  readonly config: TransformerConfig
  /** What the multimodal model is called whose text decoder it is. */
  readonly wrapper: string | undefined
  /** What the configuration says that nothing read, in phrases. */
  readonly unknown: readonly string[]
}

/**
 * The configuration of open files, gone through to the last key: what changes the meaning of the weights is understood
 * or refused by name, the rest is returned.
 *
 * @throws `unsupported` for weights that another tool quantised, families and values that are not there
 * @throws `bad-file` for counts that the weights cannot have
 */
export async function readConfig(files: ModelFiles): Promise<ReadConfig> {
  if (files.kind === 'gguf') return fromGguf(files)
  if (Object.keys(files.config).length === 0) {
    throw new ReallmError('not-found', `${files.spec}: there is no config.json beside the weights`, {
      hint: 'put that of the model there, or name the directory that has both',
    })
  }
  await refuseQuantised(files)
  const { source, wrapper } = await decoderOf(files.config)
  checkSizes(source, files)
  const { config, unknown } = await parsed(source)
  const nameOf = storedNames(files)
  const embedding = nameOf('model.embed_tokens.weight')
  if (!config.tiedHead || !(await hasOwnHead(files, nameOf('lm_head.weight'), embedding))) {
    return { config, wrapper, unknown: keysOf('config.json', unknown) }
  }
  const untied = await parsed({ ...source, tie_word_embeddings: false })
  return {
    config: untied.config,
    wrapper,
    unknown: [
      ...keysOf('config.json', unknown),
      'tie_word_embeddings of config.json (a head that differs is stored, and used)',
    ],
  }
}

async function fromGguf(files: ModelFiles): Promise<ReadConfig> {
  const { configFromGguf, inGgufWords } = await import('../config-from-gguf.ts')
  const { ropeTensors } = await import('../gguf-rope.ts')
  const found = ropeTensors.filter(name => files.tensors.has(name))
  const values = await Promise.all(found.map(async name => [name, (await files.readFloat32(name)).data]))
  const metadata = recorded(files.metadata)
  const config = await inGgufWords(files, async () => {
    const source = await configFromGguf(metadata.source, files.tensors, Object.fromEntries(values))
    checkSizes(source, files)
    return parseConfig(source)
  })
  const unread = metadata.unread()
  const attentions = attentionsOf(config.layerSpecs)
  const { headDim } = attentions.find(({ window }) => window === undefined) ?? attentions[0] ?? {}
  const unknown = unknownGgufKeys(files.metadata, unread, headDim)
  return { config, wrapper: undefined, unknown: keysOf('the metadata', unknown) }
}

/** The configuration of the decoder, by its family's name for it. */
async function decoderOf(config: HuggingFaceConfig): Promise<TextDecoder> {
  const { source, wrapper } = textDecoder(config)
  if (wrapper === undefined) return { source, wrapper }
  const { modelType, architecture } = await familyOf(source)
  return { source: { ...source, model_type: modelType, architectures: [architecture] }, wrapper }
}

async function parsed(source: HuggingFaceConfig): Promise<{ config: TransformerConfig; unknown: string[] }> {
  const keys = recorded(source)
  const config = { ...(await parseConfig(keys.source)), source }
  return { config, unknown: unknownConfigKeys(config, keys.unread()) }
}

const keysOf = (where: string, keys: readonly string[]) =>
  keys.length > 0 ? [`${keys.join(', ')} of ${where}`] : []
