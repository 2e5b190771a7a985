import type { GenerateOptions } from '@reallm/tensor-io'
import type { ChatMessage } from '@reallm/tensor-io/models'
import { beginning } from '../beginning.ts'
import type { ChatOptions } from '../chat.ts'
import type { Generation } from '../generation.ts'
import type { Line } from './line.ts'
import type { Ended } from './messages.ts'
import { remoteGeneration } from './remote-generation.ts'

/** Options of a generation in a Worker: those that can be sent there. */
export type WorkerGenerateOptions = Omit<GenerateOptions, 'constraint' | 'onSample'>

/** Options of a conversation in a Worker, and of all its answers. */
export type WorkerChatOptions = Omit<ChatOptions, 'constraint' | 'onSample'>

/** A conversation with a model in a Worker, as `Chat` is one. */
export class WorkerChat implements Disposable {
  readonly #line: Line
  readonly #options: WorkerChatOptions
  readonly #ended: (how: Ended) => void
  #messages: readonly ChatMessage[]
  #opened: Promise<number> | undefined

  constructor(line: Line, options: WorkerChatOptions, ended: (how: Ended) => void) {
    this.#line = line
    this.#options = options
    this.#ended = ended
    this.#messages = beginning(options.system, options.messages)
  }

  /** The conversation so far: what was said and answered to the end. */
  get messages(): readonly ChatMessage[] {
    return this.#messages
  }

  /**
   * Says something and streams the answer, from when its first piece is asked for. Both are part of the conversation when the
   * answer has ended; one that is left, aborted or fails leaves the conversation as it was.
   *
   * @throws `bad-option` while an earlier answer is coming, when the first piece is asked for
   */
  send(content: string, options: WorkerGenerateOptions = {}): Generation {
    const { signal = this.#options.signal, ...rest } = options
    const begin = async () => {
      this.#opened ??= this.#open()
      const { id, answer } = this.#line.call('send', [await this.#opened, content, rest])
      await answer
      return id
    }
    return remoteGeneration(this.#line, signal, begin, how => {
      this.#messages = how.messages ?? this.#messages
      this.#ended(how)
    })
  }

  /** Gives the conversation's memory back. */
  dispose(): void {
    this.#opened?.then(chat => this.#line.call('forget', [chat]).answer).catch(() => {}) // it has gone with its Worker
    this.#opened = undefined
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  async #open(): Promise<number> {
    const { signal: _, ...options } = this.#options
    const { id, answer } = this.#line.call('chat', [options])
    await answer
    return id
  }
}
