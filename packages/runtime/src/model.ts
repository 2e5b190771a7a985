import { type GenerateOptions, ReallmError } from '@reallm/tensor-io'
import type { TextTokenizer, TransformerConfig } from '@reallm/tensor-io/models'
import type { Backend } from './backend/backend.ts'
import type { WeightForm } from './backend/weight.ts'
import { Chat, type ChatOptions } from './chat.ts'
import { checkOptions, generateOptions, type Options } from './check-options.ts'
import type { Decoder } from './decoder.ts'
import { Generation } from './generation.ts'
import { type ModelLocation, openLocation } from './open.ts'
import { Session } from './session.ts'
import type { DecoderWeights } from './weights.ts'
import { write } from './write.ts'

const generateTextOptions: Options<GenerateTextOptions> = {
  ...generateOptions,
  session: 'object',
  draft: 'object',
  draftTokens: 'number',
}

/** What `load` gives a model. */
export interface ModelParts {
  readonly decoder: Decoder
  readonly form: WeightForm
  readonly tokenizer: TextTokenizer | undefined
}

/** Options of `Model.generate`. */
export interface GenerateTextOptions extends GenerateOptions {
  /** The session to go on in; a new one, freed at the end, unless told otherwise. */
  readonly session?: Session | undefined
  /**
   * A smaller model of the same vocabulary, which drafts tokens that this one then checks all at once: speculative decoding.
   * The text is what this model would have written (greedily), or distributed as that (drawn).
   */
  readonly draft?: Model | undefined
  /** Tokens that it drafts at a time; default 4. */
  readonly draftTokens?: number | undefined
}

/** A model ready to run: its weights in one memory, shared by all chats and sessions. */
export class Model implements Disposable {
  readonly config: TransformerConfig
  /** How its matrices are held. */
  readonly weights: WeightForm
  readonly tokenizer: TextTokenizer | undefined
  readonly #decoder: Decoder
  readonly #base: DecoderWeights

  constructor({ decoder, form, tokenizer }: ModelParts) {
    this.config = decoder.config
    this.weights = form
    this.tokenizer = tokenizer
    this.#decoder = decoder
    this.#base = decoder.weights
  }

  get #backend(): Backend {
    return this.#decoder.backend
  }

  /** What it runs on. */
  get device(): Backend['name'] {
    return this.#backend.name
  }

  /** Bytes of weights, scratch space and the caches of all sessions. */
  get bytes(): number {
    return this.#backend.bytes
  }

  /** MACs with weights for each token that is written, output head included: what structured matrices save. */
  get multiplyAdds(): number {
    const { modules, head } = this.#decoder.weights
    return [...modules.values()].reduce((sum, { weight }) => sum + weight.multiplyAdds, head.multiplyAdds)
  }

  /** Threads at work, this one included. */
  get threads(): number {
    return this.#backend.threads
  }

  /** Which kernels run; of wasm: relaxed SIMD, plain SIMD or plain TypeScript. */
  get kernels(): string {
    return this.#backend.kernels
  }

  /** Ids that end a text. */
  get eos(): readonly number[] {
    return [...new Set([...this.config.eos, ...(this.tokenizer?.eos ?? [])])]
  }

  /** A memory of its own for one conversation or text. */
  session(): Session {
    return new Session(this.#decoder)
  }

  /**
   * Goes on with a text, or with token ids. Takes memory when the first piece is asked for.
   *
   * @throws `bad-option` for a text when there is no tokenizer; for an empty prompt when the first piece is asked for
   * @example
   * for await (const text of model.generate('The capital of France is', { maxTokens: 32 })) process.stdout.write(text)
   */
  generate(prompt: string | readonly number[], options: GenerateTextOptions = {}): Generation {
    checkOptions('generate', options, generateTextOptions)
    const { session: given, draft, draftTokens = 4, ...rest } = options
    if (draft) this.#checkDraft(draft)
    const ids = typeof prompt === 'string' ? this.#tokenizer().encode(prompt, { special: true }) : [...prompt]
    const own: Session[] = []
    const make = (model: Model) => {
      const session = model.session()
      own.push(session)
      return session
    }
    const { tokenizer, eos, config } = this
    const source = {
      ...{ tokenizer, eos, maxPositions: config.maxPositions },
      start: async () => {
        const session = given ?? make(this)
        if (!draft) return { session, prompt: ids }
        const { DraftedSession } = await import('./drafted-session.ts')
        return { session: new DraftedSession(session, make(draft), draftTokens), prompt: ids }
      },
      done: () => {
        for (const session of own) session.dispose()
      },
    }
    return new Generation(done => write(source, rest, done))
  }

  /**
   * Starts a conversation; `options` are those of all its answers.
   *
   * @example
   * const chat = model.chat({ system: 'You answer in rhymes.' })
   * for await (const text of chat.send('Hello')) output.append(text)
   */
  chat(options: ChatOptions = {}): Chat {
    const tokenizer = this.#tokenizer()
    const { eos, config } = this
    const session = () => this.session()
    return new Chat({ session, tokenizer, eos, maxPositions: config.maxPositions }, options)
  }

  /**
   * Puts a LoRA, rsLoRA or DoRA adapter in PEFT's layout (or, with `undefined`, none) beside the weights, in place of an
   * earlier one. What sessions have read before stays as it was read.
   *
   * @throws `unsupported` for other adapters, `bad-tensor` for one of another model
   * @example
   * await model.useAdapter('my-adapter')
   */
  async useAdapter(where: ModelLocation | undefined): Promise<void> {
    const { adaptedWeights, disposeAdapted } = await import('./adapter.ts')
    let next = this.#base
    if (where !== undefined) {
      const files = await openLocation(where, { adapter: true })
      try {
        next = await adaptedWeights(this.#backend, this.#base, files)
      } finally {
        await files.close()
      }
    }
    const before = this.#decoder.weights
    await this.#decoder.use(next)
    if (before !== this.#base) disposeAdapted(before, this.#base)
  }

  /** Ends the helper threads; the memory goes when nothing refers to the model any more. */
  dispose(): void {
    this.#backend[Symbol.dispose]()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  #checkDraft({ config }: Model): void {
    for (const { mixer } of [...config.layerSpecs, ...this.config.layerSpecs]) {
      if (mixer.kind === 'attention' || mixer.kind === 'shared-attention') continue
      throw new ReallmError('unsupported', `${mixer.output.name}: a ${mixer.kind} cannot take tokens back`, {
        hint: 'draft for models, and with models, whose layers all attend',
      })
    }
    if (config.vocabSize === this.config.vocabSize) return
    throw new ReallmError(
      'bad-option',
      `the draft model has a vocabulary of ${config.vocabSize} tokens, this one of ${this.config.vocabSize}`,
      { hint: 'draft with a smaller model of the same family' },
    )
  }

  #tokenizer(): TextTokenizer {
    if (this.tokenizer) return this.tokenizer
    throw new ReallmError('bad-option', 'this model was loaded without a tokenizer', {
      hint: 'install @huggingface/tokenizers and @huggingface/jinja, or pass token ids',
    })
  }
}
