import { type GenerateOptions, ReallmError } from '@reallm/tensor-io'
import type { ChatMessage, ChatTemplateOptions, TextTokenizer } from '@reallm/tensor-io/models'
import { beginning } from './beginning.ts'
import { checkOptions, generateOptions, type Options } from './check-options.ts'
import { type FinishReason, Generation } from './generation.ts'
import type { Session } from './session.ts'
import { write } from './write.ts'

/** Options of a conversation and all its answers. */
export interface ChatOptions extends GenerateOptions, Omit<ChatTemplateOptions, 'answer'> {
  /** What the model is told before the conversation. */
  readonly system?: string | undefined
  /** A conversation to go on with. */
  readonly messages?: readonly ChatMessage[] | undefined
}

const chatOptions: Options<ChatOptions> = {
  ...generateOptions,
  system: 'string',
  messages: 'list',
  template: 'string',
  tools: 'list',
  documents: 'list',
  variables: 'object',
}

/** What a chat works with. */
export interface ChatSource {
  /** Makes the conversation's memory. */
  session(): Session
  readonly tokenizer: TextTokenizer
  readonly eos: readonly number[]
  readonly maxPositions: number
}

/** A conversation in the form that the model was trained on. Only what is new is read at each turn. */
export class Chat implements Disposable {
  readonly #source: ChatSource
  readonly #options: GenerateOptions
  readonly #template: ChatTemplateOptions
  readonly #messages: ChatMessage[]
  #session: Session | undefined
  #isBusy = false

  constructor(source: ChatSource, options: ChatOptions) {
    checkOptions('chat', options, chatOptions)
    const { system, messages, template, tools, documents, variables, ...generation } = options
    this.#source = source
    this.#template = { template, tools, documents, variables }
    this.#options = generation
    this.#messages = beginning(system, messages)
  }

  /** The conversation so far: what was said and answered to the end. */
  get messages(): readonly ChatMessage[] {
    return this.#messages
  }

  /**
   * Says something and streams the answer, from when its first piece is asked for. Both are part of the conversation when the
   * answer has ended; one that is left, aborted or fails leaves the conversation as it was.
   *
   * @throws `bad-option` while an earlier answer is coming
   *
   * @example
   * for await (const text of chat.send('Hello')) output.append(text)
   */
  send(content: string, options: GenerateOptions = {}): Generation {
    const { tokenizer, eos, maxPositions } = this.#source
    checkOptions('send', options, generateOptions)
    this.#refuseBusy()
    const message = { role: 'user', content }
    const read = () => tokenizer.encode(tokenizer.chat([...this.#messages, message], this.#template))
    let [prompt, readAt] = [read(), this.#messages.length]
    const start = () => {
      this.#refuseBusy()
      if (readAt !== this.#messages.length) [prompt, readAt] = [read(), this.#messages.length]
      this.#session ??= this.#source.session()
      this.#isBusy = true
      return { session: this.#session, prompt }
    }
    const done = (text: string, reason: FinishReason) => {
      this.#isBusy = false
      if (reason !== 'left') this.#messages.push(message, { role: 'assistant', content: text })
    }
    const source = { tokenizer, eos, maxPositions, start, done }
    return new Generation(told => write(source, { ...this.#options, ...options }, told))
  }

  /** Gives the conversation's memory back. */
  dispose(): void {
    this.#session?.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  #refuseBusy(): void {
    if (!this.#isBusy) return
    throw new ReallmError('bad-option', 'the last answer is still coming', {
      hint: 'wait for its end, or abort it',
    })
  }
}
