import { ReallmError } from '../../core/errors.ts'
import { parseJson } from '../../core/json.ts'
import { textOf } from '../../core/read-text.ts'
import type { ModelFiles } from '../../formats/model-files.ts'
import { tokenIds } from '../config.ts'
import type { TextTokenizer } from './create-tokenizer.ts'

/**
 * The tokenizer of an open model: from `tokenizer.json`, or rebuilt from GGUF metadata.
 *
 * @throws `not-found` when the model has none
 */
export async function openTokenizer(files: ModelFiles): Promise<TextTokenizer> {
  const { createTokenizer, tokenizerFromGguf } = await import('./loaded.ts')
  if (files.kind === 'gguf') return createTokenizer(tokenizerFromGguf(files.metadata))
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
  return createTokenizer(
    {
      tokenizer: await json('tokenizer.json'),
      config: template ? { ...config, chat_template: template } : config,
    },
    tokenIds(generation.eos_token_id ?? files.config.eos_token_id),
  )
}
