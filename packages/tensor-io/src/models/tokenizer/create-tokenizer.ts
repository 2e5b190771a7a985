import { Tokenizer } from '@huggingface/tokenizers'
import { ReallmError } from '../../core/errors.ts'
import { guarded } from '../../core/guard.ts'
import { decodeBytesExactly } from './byte-fallback.ts'
import { normaliseExactly } from './charsmap.ts'
import { chatTemplatesOf } from './chat-templates.ts'
import { checkTokenizer } from './check-tokenizer.ts'
import { withUnicodeDigits } from './unicode-digits.ts'

/** Contents of `tokenizer.json` and `tokenizer_config.json`. */
export interface TokenizerFiles {
  readonly tokenizer: Readonly<Record<string, unknown>>
  readonly config: Readonly<Record<string, unknown>>
}

/** A message of a conversation, as chat templates read it. */
export interface ChatMessage {
  readonly role: string
  readonly content: string
  /** Functions that the model asked to call, as templates know them. */
  readonly tool_calls?: readonly ChatToolCall[] | undefined
  /** Which call a message of role `tool` answers. */
  readonly tool_call_id?: string | undefined
  /** Of the function that a message of role `tool` answers. */
  readonly name?: string | undefined
  /** What the assistant thought before its answer; templates that call it `thinking` find it there too. */
  readonly reasoning_content?: string | undefined
}

/** A call of a tool that a message asks for. */
export interface ChatToolCall {
  readonly id: string
  readonly type: 'function'
  readonly function: { readonly name: string; readonly arguments: unknown }
}

/** A function that a model may ask to call; `parameters` is a JSON schema. */
export interface ChatTool {
  readonly type: 'function'
  readonly function: {
    readonly name: string
    readonly description?: string | undefined
    readonly parameters?: Readonly<Record<string, unknown>> | undefined
  }
}

/** Options of turning a conversation into tokens. */
export interface ChatTemplateOptions {
  /** Whether the text ends where an answer starts; default true. */
  readonly answer?: boolean | undefined
  /** Which of several templates, by its name. Default: `tool_use` for tools where there is such, otherwise the model's own. */
  readonly template?: string | undefined
  /** Functions that the model may ask to call. */
  readonly tools?: readonly ChatTool[] | undefined
  /** What the answer is to be taken from, for templates that know documents. */
  readonly documents?: readonly Readonly<Record<string, unknown>>[] | undefined
  /** Further variables of the template: `{ enable_thinking: false }`, `{ reasoning_effort: 'low' }`. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined
}

/** Turns texts and conversations into tokens, and tokens into text. */
export interface TextTokenizer {
  /** Token ids of a text; `special` adds what the model wants around a text (BOS). */
  encode(text: string, options?: { special?: boolean | undefined }): number[]
  /** Text of token ids, special tokens left out unless `special`. */
  decode(ids: readonly number[], options?: { special?: boolean | undefined }): string
  /** A conversation as the model was trained to read it, up to where its answer starts. */
  chat(messages: readonly ChatMessage[], options?: ChatTemplateOptions): string
  readonly hasChatTemplate: boolean
  /** Names of its templates; the one that is used unless told otherwise is called `default`. */
  readonly chatTemplates: readonly string[]
  readonly bos?: number | undefined
  /** Ids that end a text. */
  readonly eos: readonly number[]
  /** What to store beside converted weights. */
  readonly files: TokenizerFiles
}

const absentParts = {
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
  added_tokens: [],
}

/**
 * A tokenizer from the contents of its two files.
 *
 * @param eos ids that end a text, besides those that the files name
 * @param name what errors call the file
 * @param templateFile what they call the file of a chat template
 * @throws `bad-file` for contents that make no tokenizer; `unsupported` for patterns that could take for ever
 */
export function createTokenizer(
  files: TokenizerFiles,
  eos: readonly number[] = [],
  name = 'tokenizer.json',
  templateFile: (template: string) => string = () => name,
): TextTokenizer {
  const { config } = files
  checkTokenizer(name, files.tokenizer)
  const inner = guarded(
    name,
    'it makes no tokenizer',
    () =>
      new Tokenizer(
        {
          ...absentParts,
          ...files.tokenizer,
          pre_tokenizer: withUnicodeDigits(files.tokenizer.pre_tokenizer ?? null),
        },
        { ...config, clean_up_tokenization_spaces: false },
      ),
  )
  decodeBytesExactly(inner.decoder)
  guarded(name, 'it makes no tokenizer', () => normaliseExactly(inner.normalizer))
  // Unigram's byte fallback, which the library has for BPE alone
  const { type, byte_fallback, unk_id } = Object(files.tokenizer.model) as Record<string, unknown>
  const fallsBack = type === 'Unigram' && byte_fallback === true
  const unknownToken = typeof unk_id === 'number' ? inner.id_to_token(unk_id) : undefined
  const byteIds = (piece: string): number[] | undefined => {
    const bytes = Array.from(new TextEncoder().encode(piece), byte => byte.toString(16).toUpperCase())
    const ids = bytes.map(hex => inner.token_to_id(`<0x${hex.padStart(2, '0')}>`))
    return ids.every(id => id !== undefined) ? ids : undefined
  }
  const idOf = (token: unknown): number[] => {
    const content = contentOf(token)
    const id = content === undefined ? undefined : inner.token_to_id(content)
    return id === undefined ? [] : [id]
  }
  const [bos] = idOf(config.bos_token)
  const ends = [...new Set([...idOf(config.eos_token), ...eos, ...endNames.flatMap(idOf)])]
  const templates = chatTemplatesOf(config.chat_template, templateFile)
  const textOf = (token: unknown) => idOf(token).map(id => inner.id_to_token(id))[0] ?? ''

  return {
    encode(text, { special = false } = {}) {
      const { ids, tokens } = guarded(name, 'it cannot encode', () =>
        inner.encode(text, { add_special_tokens: special }),
      )
      return ids.flatMap((id: number | undefined, i: number) => {
        // the unknown token may stand in the text itself
        const unknown = id === undefined || (id === unk_id && tokens[i] !== unknownToken)
        const found = unknown && fallsBack ? (byteIds(tokens[i]) ?? id) : id
        if (found !== undefined) return found
        throw new ReallmError(
          'unsupported',
          `tokenizer.json: the tokenizer has no token for ${JSON.stringify(tokens[i])}`,
          {
            hint: 'leave it out of the text, or use the tokenizer.json of the original model',
          },
        )
      })
    },
    decode: (ids, { special = false } = {}) =>
      ids.length === 0
        ? ''
        : guarded(name, 'it cannot decode', () => inner.decode([...ids], { skip_special_tokens: !special })),
    chat: (messages, { answer = true, template, tools, documents, variables } = {}) =>
      templates.choose(
        template,
        tools !== undefined,
      )({
        bos_token: textOf(config.bos_token),
        eos_token: textOf(config.eos_token),
        ...tokensOf(config, textOf),
        ...variables,
        messages: messages.map(withReasoning),
        tools: tools ?? null,
        documents: documents ?? null,
        add_generation_prompt: answer,
      }),
    hasChatTemplate: templates.names.length > 0,
    chatTemplates: templates.names,
    bos,
    eos: ends,
    files,
  }
}

/** Tokens that end a text whatever the files say. */
export const endNames: readonly string[] = ['<|im_end|>', '<|eot_id|>', '<end_of_turn>']

/** The text of a token, which `tokenizer_config.json` gives as it is or as an object. */
export function contentOf(token: unknown): string | undefined {
  const content =
    typeof token === 'object' && token !== null ? (token as { content?: unknown }).content : token
  return typeof content === 'string' ? content : undefined
}

/** A message whose thoughts have both of the names that templates know, whichever it came with. */
function withReasoning(message: ChatMessage): object {
  const { reasoning_content, thinking, reasoning }: Partial<Record<string, unknown>> = { ...message }
  const thoughts = reasoning_content ?? thinking ?? reasoning
  return thoughts === undefined ? message : { thinking: thoughts, ...message, reasoning_content: thoughts }
}

/** Special tokens that templates know besides those at the ends of texts, as far as the model has them. */
const tokensOf = (config: TokenizerFiles['config'], textOf: (token: unknown) => string) =>
  Object.fromEntries(
    ['unk_token', 'pad_token', 'sep_token', 'cls_token', 'mask_token'].flatMap(key => {
      const text = textOf(config[key])
      return text === '' ? [] : [[key, text]]
    }),
  )
