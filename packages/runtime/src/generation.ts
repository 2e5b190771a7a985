import { type GenerateOptions, ReallmError, random, textStream, throwIfAborted } from '@reallm/tensor-io'
import type { TextTokenizer } from '@reallm/tensor-io/models'
import type { TextMemory } from './drafted-session.ts'
import { pause } from './pause.ts'

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

/** What a generation works with. */
export interface GenerationSource {
  /** Called when the first piece is asked for: the memory to go on in, and what is to be in it. */
  start(): { readonly session: TextMemory; readonly prompt: readonly number[] }
  readonly tokenizer: TextTokenizer | undefined
  readonly eos: readonly number[]
  readonly maxPositions: number
  /** Called once after `start`, however it ends. */
  done(text: string, reason: FinishReason): void
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

  constructor(source: GenerationSource, options: GenerateOptions) {
    this.#pieces = this.#run(source, options)
  }

  [Symbol.asyncIterator](): AsyncIterator<string> {
    return this.#pieces
  }

  /** All of the text (what is left of it). */
  async text(): Promise<string> {
    let text = ''
    for await (const piece of this) text += piece
    return text
  }

  /** Throws `bad-option` while it still runs. */
  get report(): GenerationReport {
    if (this.#report) return this.#report
    throw new ReallmError('bad-option', 'the generation has not ended yet', { hint: 'await its text first' })
  }

  async *#run(source: GenerationSource, options: GenerateOptions): AsyncGenerator<string> {
    const { tokenizer, eos, maxPositions } = source
    const { maxTokens = 256, seed = 0, stop = [], signal } = options
    const { session, prompt } = source.start()
    const draws = random(seed)
    const text = textStream(ids => tokenizer?.decode(ids) ?? '', stop)
    const tokens: number[] = []
    let all = ''
    let reason: FinishReason = 'left'
    let promptSeconds = 0
    const start = performance.now()
    let reusedTokens = 0
    try {
      throwIfAborted(signal)
      let unread = session.resume(prompt)
      reusedTokens = prompt.length - unread.length
      const last = Math.min(maxTokens, maxPositions - prompt.length)
      if (last <= 0) await session.feed(unread, signal)
      while (reason === 'left') {
        const count = Math.min(session.ahead, last - tokens.length)
        if (count <= 0) {
          reason = last < maxTokens ? 'context' : 'length'
          break
        }
        const drawn = await session.draw(unread, { ...options, random: draws, count })
        if (tokens.length === 0) promptSeconds = (performance.now() - start) / 1000
        for (const id of drawn) {
          if (eos.includes(id)) {
            reason = 'end'
            break
          }
          tokens.push(id)
          const piece = text.push(id)
          all += piece
          if (piece !== '') yield piece
          if (text.stopped) {
            reason = 'stop'
            break
          }
        }
        unread = drawn.slice(-1)
        await pause()
        if (reason === 'left') throwIfAborted(signal)
      }
      const rest = text.end()
      all += rest
      if (rest !== '') yield rest
    } finally {
      session.truncate(prompt.length + tokens.length)
      const tokenSeconds = (performance.now() - start) / 1000 - promptSeconds
      const promptTokens = prompt.length
      this.#report = { promptTokens, reusedTokens, tokens, reason, promptSeconds, tokenSeconds }
      source.done(all, reason)
    }
  }
}
