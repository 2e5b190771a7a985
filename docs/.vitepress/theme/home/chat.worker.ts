import { type Chat, type LoadOptions, load, type Model } from '@reallm/runtime'
import type { ProgressEvent } from '@reallm/tensor-io'
import { type CallContext, serveWorker } from '../worker/serve.ts'

/** A model that was loaded, and how. */
export interface LoadedChat {
  readonly seconds: number
  readonly threads: number
  readonly bytes: number
}

/** An answer in figures. */
export interface Answered {
  readonly tokens: number
  readonly tokensPerSecond: number
}

let model: Model | undefined
let chat: Chat | undefined

const methods = {
  /** Whether all pieces of the model behind a URL lie in this browser's cache, as far as its last file tells. */
  async isKept({ url }: { url: string }): Promise<boolean> {
    if (typeof caches === 'undefined') return false
    const requests = await (await caches.open('reallm')).keys()
    return requests.some(({ url: kept }) => kept.startsWith(url) && /-(\d+)-of-\1\.bin/.test(kept))
  },

  /** Events: progress in bytes. */
  async load(
    { url, threads }: { url: string; threads: number },
    { emit, signal }: CallContext,
  ): Promise<LoadedChat> {
    const started = performance.now()
    const onProgress = (event: ProgressEvent) => emit(event)
    model = await load(url, { threads, signal, onProgress } satisfies LoadOptions)
    return { seconds: (performance.now() - started) / 1000, threads: model.threads, bytes: model.bytes }
  },

  /** Answers in the conversation. Events: pieces of text. */
  async send({ text }: { text: string }, { emit, signal }: CallContext): Promise<Answered> {
    chat ??= model!.chat()
    const answer = chat.send(text, { maxTokens: 200, temperature: 0, repetitionPenalty: 1.1, signal })
    for await (const piece of answer) emit(piece)
    const { tokens, tokenSeconds } = answer.report
    return { tokens: tokens.length, tokensPerSecond: tokens.length / tokenSeconds }
  },

  /** Begins a new conversation. */
  forget(): void {
    chat?.dispose()
    chat = undefined
  },
}

export type ChatMethods = typeof methods
serveWorker(methods)
