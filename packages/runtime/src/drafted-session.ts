import { sample } from '@reallm/tensor-io'
import { type Distribution, distribution } from '@reallm/tensor-io/models'
import { acceptDraft } from './accept-draft.ts'
import type { DrawOptions, Session } from './session.ts'

/** What a generation goes on in. */
export type TextMemory = Pick<Session, 'ahead' | 'draw' | 'feed' | 'resume' | 'truncate'>

/**
 * Speculative decoding: a small model drafts some tokens, and the large one reads them all at once and keeps those that it
 * would have drawn. Greedy text is the large model's own; drawn text is distributed as its own.
 */
export class DraftedSession implements TextMemory {
  /** Drafted tokens and one more. */
  readonly ahead: number
  readonly #session: Session
  readonly #draft: Session

  constructor(session: Session, draft: Session, tokens: number) {
    this.#session = session
    this.#draft = draft
    this.ahead = tokens + 1
  }

  feed(ids: readonly number[], signal?: AbortSignal): Promise<Float32Array> {
    return this.#session.feed(ids, signal)
  }

  resume(ids: readonly number[]): readonly number[] {
    return this.#session.resume(ids)
  }

  truncate(length: number): void {
    this.#session.truncate(length)
  }

  /** At least one token, at most `count`; all but the last have been read. */
  async draw(ids: readonly number[], options: DrawOptions): Promise<readonly number[]> {
    const { random, count = 1, signal, ...choice } = options
    const text = [...this.#session.tokens, ...ids]
    const most = Math.min(count - 1, this.#draft.maxPositions - text.length)
    if (most < 1 || choice.constraint || choice.onSample) {
      return this.#session.draw(ids, { ...options, count: 1 })
    }
    if (ids.length > 1) await this.#session.feed(ids.slice(0, -1), signal)

    const drafted: number[] = []
    const drafts: Distribution[] = []
    let unread = this.#draft.resume(text)
    while (drafted.length < most) {
      const logits = await this.#draft.feed(unread, signal)
      const previous = [...text, ...drafted]
      drafts.push(distribution(logits, choice, previous))
      drafted.push(sample(logits, choice, random, previous))
      unread = drafted.slice(-1)
    }

    const logits = await this.#session.logits([...ids.slice(-1), ...drafted], signal)
    const vocab = logits.length / (drafted.length + 1)
    const chosen: number[] = []
    for (let i = 0; chosen.length === i; i++) {
      const row = logits.subarray(i * vocab, (i + 1) * vocab)
      const previous = [...text, ...chosen]
      if (i === drafted.length) return [...chosen, sample(row, choice, random, previous)]
      const id = acceptDraft(drafted[i], distribution(row, choice, previous), drafts[i], random)
      chosen.push(id)
      if (id !== drafted[i]) break
    }
    this.#session.truncate(text.length + chosen.length - 1)
    return chosen
  }
}
