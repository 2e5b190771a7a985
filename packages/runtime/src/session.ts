import { ReallmError, throwIfAborted } from '@reallm/tensor-io'
import { longRopeBeyond } from '@reallm/tensor-io/models'
import type { Decoder } from './decoder.ts'
import { BATCH, type Engine } from './engine.ts'
import { KvCache } from './kv-cache.ts'
import { pause } from './pause.ts'

/**
 * A conversation's memory: the tokens read so far and their keys and values. Any number of sessions share a model's
 * weights.
 */
export class Session implements Disposable {
  readonly #decoder: Decoder
  readonly #cache: KvCache
  readonly #tokens: number[] = []
  /** Texts of more positions turn their keys by other angles. */
  readonly #longBeyond: number
  #isLong = false
  #isDisposed = false

  constructor(engine: Engine, decoder: Decoder) {
    this.#decoder = decoder
    this.#cache = new KvCache(engine, decoder.config)
    this.#longBeyond = longRopeBeyond(decoder.config)
  }

  /** What has been read. */
  get tokens(): readonly number[] {
    return this.#tokens
  }

  /** Bytes of its keys and values. */
  get bytes(): number {
    return this.#cache.bytes
  }

  /**
   * Reads tokens, `BATCH` at a time, and returns the logits `[vocabulary]` behind the last one: a copy, because other
   * sessions of the model may run before whoever awaits it does. Other work gets its turn between batches.
   */
  async feed(ids: readonly number[], signal?: AbortSignal): Promise<Float32Array> {
    this.#check(ids)
    const length = this.#tokens.length + ids.length
    let logits: Float32Array = new Float32Array(0)
    for (let from = 0; from < ids.length; from += BATCH) {
      if (from > 0) await pause()
      throwIfAborted(signal)
      const batch = ids.slice(from, from + BATCH)
      logits = this.#read(batch, from + BATCH >= ids.length ? 'last' : 'none', length)
    }
    return logits.slice()
  }

  /** Reads one token; returns logits that the next use of the model overwrites. */
  next(id: number): Float32Array {
    this.#check([id])
    return this.#read([id], 'last', this.#tokens.length + 1)
  }

  /** Reads tokens and returns the logits behind each, `[ids, vocabulary]`. */
  async logits(ids: readonly number[], signal?: AbortSignal): Promise<Float32Array> {
    this.#check(ids)
    const { vocabSize } = this.#decoder.config
    const length = this.#tokens.length + ids.length
    const all = new Float32Array(ids.length * vocabSize)
    for (let from = 0; from < ids.length; from += BATCH) {
      if (from > 0) await pause()
      throwIfAborted(signal)
      all.set(this.#read(ids.slice(from, from + BATCH), 'all', length), from * vocabSize)
    }
    return all
  }

  /** Forgets all but the first `length` tokens. */
  truncate(length: number): void {
    this.#tokens.length = Math.min(this.#tokens.length, length)
    this.#cache.length = this.#tokens.length
  }

  /**
   * Keeps what this session and `ids` have in common from the start and returns what is left to feed, at least the
   * last id: a conversation that goes on is not read twice.
   */
  resume(ids: readonly number[]): readonly number[] {
    let common = 0
    while (common < ids.length - 1 && this.#tokens[common] === ids[common]) common++
    this.truncate(common)
    return ids.slice(common)
  }

  /** Gives its memory back. */
  dispose(): void {
    this.truncate(0)
    this.#cache.free()
    this.#isDisposed = true
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  /** Reads at most `BATCH` tokens of a text that will have `length`. */
  #read(ids: readonly number[], logits: 'none' | 'last' | 'all', length: number): Float32Array {
    const isLong = length > this.#longBeyond
    if (isLong !== this.#isLong) {
      this.#isLong = isLong
      this.#readAgain(length)
    }
    const result = this.#decoder.forward(ids, this.#cache, logits, length)
    this.#tokens.push(...ids)
    return result
  }

  /** The keys of what was read no longer fit a text of `length` positions. */
  #readAgain(length: number): void {
    this.#cache.length = 0
    for (let from = 0; from < this.#tokens.length; from += BATCH) {
      this.#decoder.forward(this.#tokens.slice(from, from + BATCH), this.#cache, 'none', length)
    }
  }

  #check(ids: readonly number[]): void {
    const { maxPositions, vocabSize } = this.#decoder.config
    if (this.#isDisposed) throw new ReallmError('bad-option', 'this session has been disposed of')
    if (ids.length === 0)
      throw new ReallmError('bad-option', 'no tokens to read', { hint: 'give it one token' })
    const length = this.#tokens.length + ids.length
    if (length > maxPositions) {
      throw new ReallmError(
        'bad-option',
        `${length} tokens do not fit the model's ${maxPositions} positions`,
        {
          hint: 'shorten the prompt, or start a new chat',
        },
      )
    }
    const wrong = ids.find(id => !Number.isInteger(id) || id < 0 || id >= vocabSize)
    if (wrong !== undefined) {
      throw new ReallmError('bad-option', `token ${wrong} is not in the model's vocabulary of ${vocabSize}`)
    }
  }
}
