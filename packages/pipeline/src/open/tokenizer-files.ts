import { ReallmError, templateFolder } from '@reallm/tensor-io'
import type { ModelWeights, TextTokenizer } from '@reallm/transformer'

/** A model's tokenizer, or undefined when it has none. */
export async function tokenizerOf(
  model: Pick<ModelWeights, 'tokenizer'>,
): Promise<TextTokenizer | undefined> {
  try {
    return await model.tokenizer()
  } catch (error) {
    if (error instanceof ReallmError && error.code === 'not-found') return undefined
    throw error
  }
}

/** Tokenizer and generation settings as model directories name them. */
const kept =
  /^(tokenizer.*|special_tokens_map|added_tokens|generation_config|vocab|merges|chat_template|spiece|tekken)\.(json|txt|model|jinja)$/

/**
 * The small files to store beside a model's weights: copied unchanged, or made from GGUF metadata. Chat templates in a
 * folder of their own go into `tokenizer_config.json`, since models are written flat.
 */
export async function tokenizerFiles(model: ModelWeights): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>()
  for (const name of model.files.files) {
    if (kept.test(name)) files.set(name, await model.files.readFile(name))
  }
  const isGguf = model.files.kind === 'gguf'
  const isNested = model.files.files.some(name => name.startsWith(`${templateFolder}/`))
  const tokenizer = isGguf || isNested ? await tokenizerOf(model) : undefined
  if (tokenizer) {
    const json = (value: unknown) => new TextEncoder().encode(`${JSON.stringify(value)}\n`)
    if (isGguf) files.set('tokenizer.json', json(tokenizer.files.tokenizer))
    files.set('tokenizer_config.json', json(tokenizer.files.config))
    files.delete('chat_template.jinja')
  }
  return files
}
