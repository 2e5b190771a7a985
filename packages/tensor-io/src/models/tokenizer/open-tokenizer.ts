import { ReallmError } from '../../core/errors.ts'
import { guarded } from '../../core/guard.ts'
import { parseJson } from '../../core/json.ts'
import { warn } from '../../core/progress.ts'
import { textOf } from '../../core/read-text.ts'
import type { ModelFiles, OpenOptions } from '../../formats/model-files.ts'
import { tokenIds } from '../config.ts'
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
  const config = await json('tokenizer_config.json')
  const template = files.files.includes('chat_template.jinja')
    ? textOf(`${files.spec}: chat_template.jinja`, await files.readFile('chat_template.jinja'))
    : undefined
  const generation = await json('generation_config.json')
  const tokenizer = await json('tokenizer.json')
  const name = `${files.spec}: tokenizer.json`
  const unknown = guarded(name, 'it makes no tokenizer', () => reviewTokenizer(tokenizer))
  if (unknown.length > 0) warn(options, `${files.spec}: not used: ${unknown.join(', ')} of tokenizer.json`)
  return createTokenizer(
    {
      tokenizer,
      config: template ? { ...config, chat_template: template } : config,
    },
    tokenIds(generation.eos_token_id ?? files.config.eos_token_id),
    name,
  )
}
