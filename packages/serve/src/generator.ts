import { setMaxListeners } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import type { FinishReason, Model } from '@reallm/runtime'
import { ReallmError } from '@reallm/tensor-io'
import type { TextTokenizer } from '@reallm/tensor-io/models'
import PQueue from 'p-queue'
import { ApiError } from './errors.ts'
import { GrammarConstraint, type Rule, tokenBytes, Vocabulary } from './grammar/index.ts'
import { LogprobReader, type TokenLogprob } from './logprobs.ts'

/** How texts are continued. */
export interface Sampling {
  readonly maxTokens: number
  readonly temperature: number
  readonly topK: number | undefined
  readonly topP: number | undefined
  readonly minP: number | undefined
  readonly repetitionPenalty: number | undefined
  readonly seed: number
  readonly stop: readonly string[]
}

/** What a request asks for: one text for each prompt and seed. */
export interface Task {
  readonly prompts: readonly (readonly number[])[]
  /** Texts for each prompt, of the seeds `seed`, `seed + 1`, … */
  readonly n: number
  readonly sampling: Sampling
  /** How many likely tokens are told beside each; undefined for no logprobs at all. */
  readonly logprobs?: number | undefined
  /** Grammar of the texts. */
  readonly rule?: Rule | undefined
}

/** A piece of one of a task's texts. */
export interface Piece {
  readonly index: number
  readonly text: string
  readonly tokens: readonly TokenLogprob[]
}

/** How one of a task's texts ended. */
export interface Ending {
  readonly index: number
  readonly reason: FinishReason
  readonly promptTokens: number
  readonly tokens: number
}

export interface GeneratorOptions {
  /** Texts that are written at a time, a token of each in one pass. */
  readonly parallel: number
  /** Texts that may wait. */
  readonly waiting: number
  /** Tokens of a prompt and what follows it. */
  readonly context: number
}

/** Characters of a prompt that are encoded in one go, uncounted; and of a piece of what is longer. */
const shortText = 8192
const pieceLength = 2048
/** Tokens that a cut makes of those that it goes through, at most. */
const mostMoreByCut = 16

/** Takes up as many texts as it may, and has the model write them at a time. */
export class Generator {
  readonly model: Model
  readonly tokenizer: TextTokenizer
  readonly #queue: PQueue
  readonly #places: number
  readonly #context: number
  #vocabulary: Vocabulary | undefined
  #bytes: readonly (string | undefined)[] | undefined
  /** Seconds that a text took, the last ones weighing most. */
  #secondsEach = 1

  constructor(model: Model, { parallel, waiting, context }: GeneratorOptions) {
    if (!model.tokenizer) throw new ReallmError('bad-option', 'a model without a tokenizer cannot be served')
    this.model = model
    this.tokenizer = model.tokenizer
    this.#queue = new PQueue({ concurrency: parallel })
    this.#places = parallel + waiting
    this.#context = context
  }

  get running(): number {
    return this.#queue.pending
  }

  get waiting(): number {
    return this.#queue.size
  }

  /** Resolves when nothing runs or waits. */
  idle(): Promise<void> {
    return this.#queue.onIdle()
  }

  /** Throws an `ApiError` where a request asks for another model. */
  checkModel(name: string, asked: string | null | undefined): void {
    if (asked === undefined || asked === null || asked === name) return
    throw new ApiError(404, 'model_not_found', `there is no model ${JSON.stringify(asked)} here`, {
      ...{ param: 'model', hint: `ask for ${name}` },
    })
  }

  /** Token ids of a prompt. Throws an `ApiError` where they are more than the context holds: others go on while a long one is counted. */
  async encode(text: string, param: string, { special = false } = {}): Promise<readonly number[]> {
    let cuts = 0
    let tokens = 0
    for (let at = 0; text.length > shortText && at < text.length; at += pieceLength, cuts++) {
      tokens += this.tokenizer.encode(text.slice(at, at + pieceLength)).length
      if (tokens - cuts * mostMoreByCut > this.#context) throw this.#tooLong('has more tokens than', param)
      await setImmediate()
    }
    return this.tokenizer.encode(text, { special })
  }

  /** How many tokens of those wanted fit after a prompt. Throws an `ApiError` where there is no room for any. */
  roomFor(prompt: readonly number[], wanted: number, param: string): number {
    const room = this.#context - prompt.length
    if (room > 0) return Math.min(room, wanted)
    throw this.#tooLong(`of ${prompt.length} tokens leaves no room for an answer in`, param)
  }

  /** Throws an `ApiError` of status 429 where there is no room for so many texts more. */
  admit(texts: number): void {
    const taken = this.running + this.waiting
    if (taken + texts <= this.#places) return
    const seconds = (taken * this.#secondsEach) / this.#queue.concurrency
    throw new ApiError(429, 'rate_limit_exceeded', `${taken} texts are being written or wait already`, {
      hint: 'try again later',
      retryAfter: Math.min(60, Math.max(1, Math.ceil(seconds))),
    })
  }

  /**
   * Writes the texts of a task that was admitted; `onPiece` hears of them as they come. All of them end when one fails.
   *
   * @throws what the signal was aborted with
   */
  async run(
    task: Task,
    signal: AbortSignal,
    onPiece: (piece: Piece) => void | Promise<void>,
  ): Promise<readonly Ending[]> {
    const failed = new AbortController()
    const either = AbortSignal.any([signal, failed.signal])
    // each text listens
    setMaxListeners(0, either)
    const texts = task.prompts.flatMap((prompt, p) =>
      Array.from({ length: task.n }, (_, i) => ({
        prompt,
        index: p * task.n + i,
        // as numbers below 2³², above which sums of seeds would be rounded
        seed: (task.sampling.seed % 2 ** 32) + i,
      })),
    )
    const work = texts.map(async text => {
      try {
        return await this.#queue.add(() => this.#write(task, text, either, onPiece), { signal: either })
      } catch (error) {
        failed.abort(error)
        throw error
      }
    })
    await Promise.allSettled(work)
    signal.throwIfAborted()
    if (failed.signal.aborted) throw failed.signal.reason
    return Promise.all(work)
  }

  async #write(
    { sampling, logprobs, rule }: Task,
    { prompt, index, seed }: { prompt: readonly number[]; index: number; seed: number },
    signal: AbortSignal,
    onPiece: (piece: Piece) => void | Promise<void>,
  ): Promise<Ending> {
    const start = performance.now()
    const reader = logprobs === undefined ? undefined : new LogprobReader(this.#tokenBytes(), logprobs)
    const { eos } = this.model
    const generation = this.model.generate(prompt, {
      ...sampling,
      ...{ seed, signal },
      constraint: rule && new GrammarConstraint(rule, this.#vocabularyOf()),
      onSample: reader && ((id, logits) => eos.includes(id) || reader.read(id, logits)),
    })
    for await (const text of generation) await onPiece({ index, text, tokens: reader?.taken() ?? [] })
    const { reason, promptTokens, tokens } = generation.report
    const rest = reason === 'stop' ? [] : (reader?.taken() ?? [])
    if (rest.length > 0) await onPiece({ index, text: '', tokens: rest })
    this.#secondsEach += 0.2 * ((performance.now() - start) / 1000 - this.#secondsEach)
    return { index, reason, promptTokens, tokens: tokens.length }
  }

  #tooLong(why: string, param: string): ApiError {
    const message = `the prompt ${why} the context of ${this.#context} tokens`
    return new ApiError(400, 'context_length_exceeded', message, { param, hint: 'shorten the prompt' })
  }

  #tokenBytes(): readonly (string | undefined)[] {
    this.#bytes ??= tokenBytes(this.tokenizer)
    return this.#bytes
  }

  #vocabularyOf(): Vocabulary {
    const { eos } = this.model
    if (eos.length === 0) throw new ReallmError('unsupported', 'this model has no token that ends a text')
    this.#vocabulary ??= new Vocabulary(this.#tokenBytes(), eos)
    return this.#vocabulary
  }
}
