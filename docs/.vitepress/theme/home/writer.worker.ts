import { type LoadOptions, load, type Model } from '@reallm/runtime'
import { type ProgressEvent, throwIfAborted } from '@reallm/tensor-io'
import { type CallContext, serveWorker } from '../worker/serve.ts'

/** What the home page's Worker tells of a model that it loaded. */
export interface Loaded {
  readonly seconds: number
  readonly threads: number
  readonly kernels: string
}

/** What it tells of a text that it wrote. */
export interface Written {
  readonly tokens: number
  /** Of decoding alone. */
  readonly tokensPerSecond: number
}

let model: Model | undefined

const methods = {
  /** Loads the model behind a URL, in place of an earlier one. Events: progress in bytes. */
  async load(
    { url, files, threads }: { url: string; files?: readonly string[] | undefined; threads: number },
    { emit, signal }: CallContext,
  ): Promise<Loaded> {
    model?.dispose()
    model = undefined
    const started = performance.now()
    const onProgress = (event: ProgressEvent) => signal.aborted || emit(event)
    const next = await load(url, { files, threads, signal, onProgress } satisfies LoadOptions)
    if (signal.aborted) {
      next.dispose()
      throwIfAborted(signal)
    }
    model = next
    return { seconds: (performance.now() - started) / 1000, threads: model.threads, kernels: model.kernels }
  },

  /** Goes on with a prompt, always by the likeliest token. Events: pieces of text. */
  async write(
    { prompt, maxTokens }: { prompt: string; maxTokens: number },
    { emit, signal }: CallContext,
  ): Promise<Written> {
    const generation = model!.generate(prompt, { maxTokens, temperature: 0, signal })
    for await (const piece of generation) emit(piece)
    const { report } = generation
    const tokens = report.tokens.length
    return { tokens, tokensPerSecond: tokens / report.tokenSeconds }
  },
}

export type WriterMethods = typeof methods
serveWorker(methods)
