import type { Generation } from '../generation.ts'
import type { WorkerLoadOptions } from '../load-options.ts'
import type { ModelLocation } from '../open.ts'
import { Line } from './line.ts'
import type { Ended, ModelFacts } from './messages.ts'
import { threadOf } from './open-thread.ts'
import { remoteGeneration } from './remote-generation.ts'
import { absolute, sentLocation } from './sent-location.ts'
import { WorkerChat, type WorkerChatOptions, type WorkerGenerateOptions } from './worker-chat.ts'

/** A model that lives in a Worker, as `Model` is one: what it writes comes by messages, this thread stays free. */
export class WorkerModel implements Disposable, ModelFacts {
  readonly config: ModelFacts['config']
  readonly weights: ModelFacts['weights']
  readonly device: ModelFacts['device']
  readonly multiplyAdds: number
  readonly threads: number
  readonly kernels: string
  readonly eos: readonly number[]
  readonly #line: Line
  #bytes: number

  constructor(line: Line, facts: ModelFacts) {
    this.#line = line
    this.config = facts.config
    this.weights = facts.weights
    this.device = facts.device
    this.multiplyAdds = facts.multiplyAdds
    this.threads = facts.threads
    this.kernels = facts.kernels
    this.eos = facts.eos
    this.#bytes = facts.bytes
  }

  /** Bytes of weights, scratch space and the caches of all sessions when the Worker last told. */
  get bytes(): number {
    return this.#bytes
  }

  /** Goes on with a text, or with token ids; refuses what `Model.generate` does when the first piece is asked for. */
  generate(prompt: string | readonly number[], options: WorkerGenerateOptions = {}): Generation {
    const { signal, ...rest } = options
    const begin = async () => {
      const { id, answer } = this.#line.call('generate', [prompt, rest])
      await answer
      return id
    }
    return remoteGeneration(this.#line, signal, begin, how => this.#hear(how))
  }

  /** Starts a conversation; `options` are those of all its answers. */
  chat(options: WorkerChatOptions = {}): WorkerChat {
    return new WorkerChat(this.#line, options, how => this.#hear(how))
  }

  /** Puts a LoRA, rsLoRA or DoRA adapter beside the weights, or takes it off, as `Model.useAdapter` does. */
  async useAdapter(where: ModelLocation | undefined): Promise<void> {
    this.#bytes = await this.#line.call('useAdapter', [where === undefined ? where : sentLocation(where)])
      .answer
  }

  /** Ends the Worker, and what is under way in it. */
  dispose(): void {
    this.#line.close()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  #hear({ bytes }: Ended): void {
    this.#bytes = bytes
  }
}

/** Loads a model in a Worker, see `load`. */
export async function loadInWorker(where: ModelLocation, options: WorkerLoadOptions): Promise<WorkerModel> {
  const { worker, signal, onProgress, base, ...rest } = options
  const sent = { ...rest, base: base === undefined ? base : absolute(base) }
  const line = new Line(await threadOf(worker))
  try {
    const call = line.call('load', [sentLocation(where), sent], onProgress)
    return new WorkerModel(line, await line.until(call, signal))
  } catch (error) {
    line.close()
    throw error
  }
}
