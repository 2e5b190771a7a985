// In a page's Worker: loads a model as the home page does, and tells where the time went.
import { load } from '../../../packages/runtime/src/index.ts'

/** Seconds until something, and of waiting for the parts of the browser; waits may overlap with each other and with work. */
export interface Visit {
  readonly opened: number
  readonly loaded: number
  readonly firstWord: number
  readonly threads: number
  readonly answer: string
  readonly requests: number
  readonly cacheReads: number
  readonly waits: Readonly<Record<string, number>>
}

const waits: Record<string, number> = {}
const calls: Record<string, number> = {}

/** Replaces a method by one that adds up how long its promises take. */
function timed(owner: object, method: string): void {
  const own = Reflect.get(owner, method)
  Reflect.set(owner, method, function (this: unknown, ...args: unknown[]) {
    const started = performance.now()
    calls[method] = (calls[method] ?? 0) + 1
    return Promise.resolve(Reflect.apply(own, this, args)).finally(() => {
      waits[method] = (waits[method] ?? 0) + (performance.now() - started) / 1000
    })
  })
}

timed(globalThis, 'fetch')
timed(Cache.prototype, 'match')
timed(Cache.prototype, 'put')
timed(Response.prototype, 'arrayBuffer')
timed(SubtleCrypto.prototype, 'digest')

addEventListener('message', async ({ data: { url, threads } }) => {
  const started = performance.now()
  const since = () => (performance.now() - started) / 1000
  let opened: number | undefined
  const onProgress = ({ event }: { event: string }) => {
    if (event === 'bytes-read') opened ??= since()
  }
  const model = await load(url, { threads, onProgress })
  const loaded = since()
  let firstWord: number | undefined
  let answer = ''
  for await (const piece of model
    .chat()
    .send('What is the capital of France?', { maxTokens: 8, temperature: 0 })) {
    firstWord ??= since()
    answer += piece
  }
  const { fetch: requests = 0, match: cacheReads = 0 } = calls
  postMessage({ opened, loaded, firstWord, answer, threads: model.threads, requests, cacheReads, waits })
})
