import { type Random, ReallmError, type SampleOptions, sample, throwIfAborted } from '@reallm/tensor-io'
import { longRopeBeyond } from '@reallm/tensor-io/models'
import type { Batch, Program, State } from './backend/backend.ts'
import type { Decoder } from './decoder.ts'
import { pause } from './pause.ts'

/** How a session draws tokens. */
export interface DrawOptions extends SampleOptions {
  /** Of the draws; two calls with one go on in its sequence. */
  readonly random: Pick<Random, 'uniform'>
  /** Tokens that are drawn at most, one after another; default 1. */
  readonly count?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * A conversation's memory: the tokens read so far and what the layers keep of them. Any number of sessions share a model's
 * weights; one session does one thing at a time.
 */
export class Session implements Disposable {
  readonly #decoder: Decoder
  readonly #state: State
  readonly #tokens: number[] = []
  /** Texts of more positions turn their keys by other angles. */
  readonly #longBeyond: number
  #isLong = false
  #isDisposed = false

  constructor(decoder: Decoder) {
    this.#decoder = decoder
    this.#state = decoder.backend.state(decoder.config.layerSpecs.map(({ mixer }) => mixer))
    this.#longBeyond = longRopeBeyond(decoder.config)
  }

  /** What has been read. */
  get tokens(): readonly number[] {
    return this.#tokens
  }

  /** Tokens that are best drawn at once. */
  get ahead(): number {
    return this.#decoder.backend.ahead
  }

  /** Tokens that fit the model. */
  get maxPositions(): number {
    return this.#decoder.config.maxPositions
  }

  /** Bytes of its keys and values. */
  get bytes(): number {
    return this.#state.bytes
  }

  /** Reads tokens, some at a time, and returns the logits `[vocabulary]` after the last one. */
  async feed(ids: readonly number[], signal?: AbortSignal): Promise<Float32Array> {
    const batch = await this.#readAllButLast(ids, signal)
    return this.#run(batch, program => program.logits(batch, 'last'))
  }

  /** Reads one token; returns the logits after it. */
  next(id: number): Promise<Float32Array> {
    return this.feed([id])
  }

  /** Reads tokens and returns the logits after each, `[ids, vocabulary]`. */
  async logits(ids: readonly number[], signal?: AbortSignal): Promise<Float32Array> {
    const parts: Float32Array[] = []
    const keep = async (batch: Batch) => {
      parts.push(await this.#run(batch, program => program.logits(batch, 'all')))
    }
    await keep(await this.#readAllButLast(ids, signal, keep))
    if (parts.length === 1) return parts[0]
    const { vocabSize } = this.#decoder.config
    const all = new Float32Array(ids.length * vocabSize)
    let at = 0
    for (const part of parts) {
      all.set(part, at)
      at += part.length
    }
    return all
  }

  /**
   * Reads tokens and draws the next one as `sample` does, where the logits are; up to `count` where nothing has to be asked
   * about each. All but the last of those drawn have then been read.
   */
  async draw(ids: readonly number[], options: DrawOptions): Promise<readonly number[]> {
    const { random, count = 1, signal, ...rest } = options
    if (rest.constraint || rest.onSample) {
      const logits = await this.feed(ids, signal)
      return [sample(logits, rest, random, this.#tokens)]
    }
    const batch = await this.#readAllButLast(ids, signal, undefined, count - 1)
    const previous = [...this.#tokens, ...batch.ids]
    const draws = Array.from({ length: count }, () => random.uniform())
    const drawn = await this.#run(batch, program => program.sample(batch, { options: rest, previous, draws }))
    this.#tokens.push(...drawn.slice(0, -1))
    return drawn
  }

  /** Forgets all but the first `length` tokens. */
  truncate(length: number): void {
    this.#tokens.length = Math.min(this.#tokens.length, length)
    this.#state.truncate(this.#tokens.length)
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
    this.#state[Symbol.dispose]()
    this.#isDisposed = true
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  /**
   * Reads `ids` but for the last batch of them, which is returned: other work gets its turn between batches. `read` takes
   * the place of reading; `more` tokens will follow.
   */
  async #readAllButLast(
    ids: readonly number[],
    signal: AbortSignal | undefined,
    read = (batch: Batch) => this.#run(batch, program => program.read(batch)),
    more = 0,
  ): Promise<Batch> {
    this.#check(ids, more)
    throwIfAborted(signal)
    const { backend } = this.#decoder
    const length = this.#tokens.length + ids.length + more
    await this.#readAgain(length)
    const batch = (from: number) => ({
      ids: ids.slice(from, from + backend.batch),
      state: this.#state,
      length,
    })
    let from = 0
    for (; from + backend.batch < ids.length; from += backend.batch) {
      await read(batch(from))
      await pause()
      throwIfAborted(signal)
    }
    return batch(from)
  }

  /** Runs a program on a batch, whose tokens have then been read. */
  async #run<T>(batch: Batch, run: (program: Program) => Promise<T>): Promise<T> {
    const result = await run(this.#decoder.program)
    this.#tokens.push(...batch.ids)
    return result
  }

  /** Reads what the state does not hold: what it could not go back to, or all where keys do not fit a text of `length`. */
  async #readAgain(length: number): Promise<void> {
    const isLong = length > this.#longBeyond
    this.#state.truncate(isLong === this.#isLong ? this.#tokens.length : 0)
    this.#isLong = isLong
    const { backend, program } = this.#decoder
    while (this.#state.length < this.#tokens.length) {
      const from = this.#state.length
      const ids = this.#tokens.slice(from, from + backend.batch)
      await program.read({ ids, state: this.#state, length })
    }
  }

  #check(ids: readonly number[], more: number): void {
    const { maxPositions, vocabSize } = this.#decoder.config
    if (this.#isDisposed) throw new ReallmError('bad-option', 'this session has been disposed of')
    if (ids.length === 0)
      throw new ReallmError('bad-option', 'the prompt is empty: no tokens to read', {
        hint: 'give it one token',
      })
    const length = this.#tokens.length + ids.length + more
    if (length > maxPositions) {
      throw new ReallmError(
        'bad-option',
        `${length} tokens do not fit the model's ${maxPositions} positions (max_position_embeddings)`,
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
