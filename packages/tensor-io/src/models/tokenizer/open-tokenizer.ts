import { ReallmError } from '../../core/errors.ts'
import { guarded } from '../../core/guard.ts'
import { parseJson } from '../../core/json.ts'
import { warn } from '../../core/progress.ts'
import { textOf } from '../../core/read-text.ts'
import { type ModelFiles, type OpenOptions, templateFolder } from '../../formats/model-files.ts'
import { tokenIds } from '../config.ts'
import { textDecoder } from '../declared/text-decoder.ts'
import type { TextTokenizer } from './create-tokenizer.ts'

/**
 * The tokenizer of an open model: from `tokenizer.json`, or rebuilt from GGUF metadata.
 *
 * @param options `onProgress` is told what `tokenizer.json` says and nothing here uses
 * @throws `not-found` when the model has none; `unsupported` for parts that would give other ids
 */
export async function openTokenizer(
  files: ModelFiles,
  options: Pick<OpenOptions, 'onProgress'> = {},
): Promise<TextTokenizer> {
  const { createTokenizer, endIdsOfGguf, reviewTokenizer, tokenizerFromGguf } = await import('./loaded.ts')
  if (files.kind === 'gguf') {
    const { metadata, spec } = files
    return createTokenizer(tokenizerFromGguf(metadata, spec), endIdsOfGguf(metadata), spec)
  }
  if (!files.files.includes('tokenizer.json')) {
    throw new ReallmError('not-found', `${files.spec}: there is no tokenizer.json`, {
      hint: 'put the tokenizer.json of the original model beside the weights',
    })
  }
  const json = async (name: string): Promise<Record<string, unknown>> => {
    if (!files.files.includes(name)) return {}
    return parseJson(`${files.spec}: ${name}`, await files.readFile(name))
  }
  const [config, templates, generation, tokenizer] = await Promise.all([
    json('tokenizer_config.json'),
    templatesIn(files),
    json('generation_config.json'),
    json('tokenizer.json'),
  ])
  const name = `${files.spec}: tokenizer.json`
  const unknown = guarded(name, 'it makes no tokenizer', () => reviewTokenizer(tokenizer))
  if (unknown.length > 0) warn(options, `${files.spec}: not used: ${unknown.join(', ')} of tokenizer.json`)
  return createTokenizer(
    {
      tokenizer,
      config: templates === undefined ? config : { ...config, chat_template: templates },
    },
    tokenIds(generation.eos_token_id ?? textDecoder(files.config).source.eos_token_id),
    name,
    template =>
      `${files.spec}: ${templates === undefined ? 'tokenizer_config.json' : templateFile(files, template)}`,
  )
}

const defaultTemplate = 'chat_template.jinja'

const templateFile = ({ files }: ModelFiles, template: string): string =>
  template === 'default' && files.includes(defaultTemplate)
    ? defaultTemplate
    : `${templateFolder}/${template}.jinja`

/** Chat templates in files of their own, which go before those of `tokenizer_config.json`: one as a text, several by names. */
async function templatesIn(files: ModelFiles): Promise<unknown> {
  const read = async (name: string) => textOf(`${files.spec}: ${name}`, await files.readFile(name))
  const others = files.files.filter(name => name.startsWith(`${templateFolder}/`))
  const template = files.files.includes(defaultTemplate) ? await read(defaultTemplate) : undefined
  if (others.length === 0) return template
  const named = await Promise.all(
    others.map(async file => ({
      name: file.slice(templateFolder.length + 1).replace(/\.jinja$/, ''),
      template: await read(file),
    })),
  )
  return [...(template === undefined ? [] : [{ name: 'default', template }]), ...named]
}
