import { ReallmError } from '@reallm/tensor-io'
import type { Chat } from '../chat.ts'
import type { Generation } from '../generation.ts'
import { loadHere } from '../load-here.ts'
import type { LoadOptions } from '../load-options.ts'
import type { Model } from '../model.ts'
import { type Answer, type CallName, type Calls, type Request, sentError } from './messages.ts'

/** A generation under way. */
interface Running {
  readonly generation: Generation
  readonly pieces: AsyncIterator<string, undefined>
  readonly chat: Chat | undefined
}

/** The page's end of the line. */
interface Port {
  postMessage(answer: Answer): void
  onmessage: ((event: { readonly data: Request }) => void) | null
}

/**
 * Makes this Worker the home of the model that `load(where, { worker })` of the page, or of another thread, asks for.
 *
 * @param own options that cannot be sent: a registry, a tokenizer
 * @example
 * import { serveModel } from '@reallm/runtime/worker'
 * serveModel()
 */
export function serveModel(own: Pick<LoadOptions, 'registry' | 'tokenizer'> = {}): void {
  const port = portHere()
  const aborts = new Map<number, AbortController>()
  const chats = new Map<number, Chat>()
  const running = new Map<number, Running>()
  let model: Model

  const signalOf = (id: number): AbortSignal => {
    const controller = new AbortController()
    aborts.set(id, controller)
    return controller.signal
  }
  const begin = (id: number, generation: Generation, chat?: Chat) => {
    running.set(id, { generation, pieces: generation[Symbol.asyncIterator](), chat })
  }
  const chatOf = (id: number): Chat => {
    const chat = chats.get(id)
    if (chat) return chat
    throw new ReallmError('bad-option', 'this chat has been disposed of')
  }

  const calls: {
    [Name in CallName]: (id: number, ...args: Parameters<Calls[Name]>) => ReturnType<Calls[Name]>
  } = {
    async load(id, where, options) {
      const onProgress: LoadOptions['onProgress'] = progress => port.postMessage({ id, progress })
      model = await loadHere(where, { ...options, ...own, onProgress, signal: signalOf(id) })
      aborts.delete(id)
      const { weights, device, bytes, multiplyAdds, threads, kernels, eos } = model
      const { family: _, ...config } = model.config
      return { weights, device, bytes, multiplyAdds, threads, kernels, eos, config }
    },
    generate: (id, prompt, options) =>
      begin(id, model.generate(prompt, { ...options, signal: signalOf(id) })),
    chat: (id, options) => void chats.set(id, model.chat(options)),
    send(id, chatId, content, options) {
      const chat = chatOf(chatId)
      begin(id, chat.send(content, { ...options, signal: signalOf(id) }), chat)
    },
    next: (_, id) => running.get(id)!.pieces.next(),
    async end(_, id) {
      const { generation, pieces, chat } = running.get(id)!
      running.delete(id)
      aborts.delete(id)
      await pieces.return?.()
      return { report: reportOf(generation), messages: chat?.messages, bytes: model.bytes }
    },
    forget(_, id) {
      chatOf(id).dispose()
      chats.delete(id)
    },
    async useAdapter(_, where) {
      await model.useAdapter(where)
      return model.bytes
    },
  }
  const answer = (id: number, name: CallName, args: unknown[]): unknown =>
    Reflect.apply(calls[name], calls, [id, ...args])

  port.onmessage = async ({ data }) => {
    if ('abort' in data) return aborts.get(data.abort)?.abort()
    const { id, name, args } = data
    try {
      port.postMessage({ id, value: await answer(id, name, args) })
    } catch (error) {
      port.postMessage({ id, error: sentError(error) })
    }
  }
}

function portHere(): Port {
  const isNode = typeof process !== 'undefined' && typeof process.getBuiltinModule === 'function'
  const port: unknown = isNode ? process.getBuiltinModule('node:worker_threads').parentPort : globalThis
  if (port && (isNode || !('window' in globalThis))) return port as Port
  throw new ReallmError('bad-option', 'serveModel runs in a Worker', {
    hint: 'call it in the script that `new Worker` is given',
  })
}

function reportOf(generation: Generation) {
  try {
    return generation.report
  } catch {
    return undefined // it could not begin
  }
}
