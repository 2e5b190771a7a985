import { ReallmError } from '@reallm/tensor-io'

/**
 * Why a generation ended: a token that ends texts, a stop string, `maxTokens`, the model's context before those many; `left`
 * before its end, because nobody listened any more, it was aborted or it failed.
 */
export type FinishReason = 'end' | 'stop' | 'length' | 'context' | 'left'

/** What a generation did, complete when it has ended. */
export interface GenerationReport {
  /** Tokens of the prompt, and how many of them the session had read before. */
  readonly promptTokens: number
  readonly reusedTokens: number
  readonly tokens: readonly number[]
  readonly reason: FinishReason
  /** Seconds for the prompt and for the tokens after it. */
  readonly promptSeconds: number
  readonly tokenSeconds: number
}

/**
 * Text that comes piece by piece; a piece never splits a character. Work starts, and memory is taken, when the first piece
 * is asked for. Leaving the loop stops the work.
 *
 * @example
 * for await (const text of model.generate('Once upon a time')) process.stdout.write(text)
 */
export class Generation implements AsyncIterable<string> {
  readonly #pieces: AsyncGenerator<string>
  #report: GenerationReport | undefined
  #text: Promise<string> | undefined

  /** @param write makes the text, and tells what it did before it ends */
  constructor(write: (done: (report: GenerationReport) => void) => AsyncGenerator<string>) {
    this.#pieces = write(report => {
      this.#report = report
    })
  }

  [Symbol.asyncIterator](): AsyncIterator<string> {
    return this.#pieces
  }

  /** All of the text (what is left of it when it is first called). */
  text(): Promise<string> {
    this.#text ??= this.#rest()
    return this.#text
  }

  async #rest(): Promise<string> {
    let text = ''
    for await (const piece of this) text += piece
    return text
  }

  /** Throws `bad-option` while it still runs. */
  get report(): GenerationReport {
    if (this.#report) return this.#report
    throw new ReallmError('bad-option', 'the generation has not ended yet', { hint: 'await its text first' })
  }
}
