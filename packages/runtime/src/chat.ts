import { type GenerateOptions, ReallmError } from '@reallm/tensor-io'
import type { ChatMessage, TextTokenizer } from '@reallm/tensor-io/models'
import { Generation } from './generation.ts'
import type { Session } from './session.ts'

export interface ChatOptions extends GenerateOptions {
  /** What the model is told before the conversation. */
  readonly system?: string
  /** A conversation to go on with. */
  readonly messages?: readonly ChatMessage[]
}

/** What a chat works with. */
export interface ChatSource {
  readonly session: Session
  readonly tokenizer: TextTokenizer
  readonly eos: readonly number[]
  readonly maxPositions: number
}

/** A conversation in the form that the model was trained on. Only what is new is read at each turn. */
export class Chat {
  readonly #source: ChatSource
  readonly #options: GenerateOptions
  readonly #messages: ChatMessage[]
  #busy = false

  constructor(source: ChatSource, { system, messages = [], ...options }: ChatOptions) {
    this.#source = source
    this.#options = options
    this.#messages = [...(system === undefined ? [] : [{ role: 'system', content: system }]), ...messages]
  }

  /** The conversation so far, the model's answers included. */
  get messages(): readonly ChatMessage[] {
    return this.#messages
  }

  /**
   * Says something and streams the answer. Throws `bad-option` while an earlier answer is still coming.
   *
   * @example
   * for await (const text of chat.send('Hello')) output.append(text)
   */
  send(content: string, options: GenerateOptions = {}): Generation {
    if (this.#busy) {
      throw new ReallmError('bad-option', 'the last answer is still coming', {
        hint: 'wait for its end, or abort it',
      })
    }
    const { tokenizer } = this.#source
    this.#messages.push({ role: 'user', content })
    const prompt = tokenizer.encode(tokenizer.chat(this.#messages))
    this.#busy = true
    const done = (text: string) => {
      this.#busy = false
      this.#messages.push({ role: 'assistant', content: text })
    }
    return new Generation({ ...this.#source, done }, prompt, { ...this.#options, ...options })
  }

  /** Frees the conversation's memory. */
  free(): void {
    this.#source.session.free()
  }
}
