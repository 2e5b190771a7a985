import { load } from '@reallm/runtime'

const cacheName = 'kept'
const text = async () => {
  const model = await load('model/', { cache: cacheName })
  const written = await model.generate('The whale', { maxTokens: 8 }).text()
  model.dispose()
  return written
}

/** Bytes of bodies that the network gave while something was done. */
async function fetched(work: () => Promise<unknown>): Promise<number> {
  const own = globalThis.fetch
  let bytes = 0
  globalThis.fetch = async (...request) => {
    const answer = await own(...request)
    bytes += Number(answer.headers.get('content-length'))
    return answer
  }
  await work().finally(() => {
    globalThis.fetch = own
  })
  return bytes
}

/** Zeros instead of the bytes of all kept pieces, what was noted of them stays. */
async function damage(): Promise<void> {
  const cache = await caches.open(cacheName)
  for (const request of await cache.keys()) {
    const { headers, body } = (await cache.match(request))!
    const bytes = await new Response(body).arrayBuffer()
    if (bytes.byteLength > 1000)
      await cache.put(request, new Response(new Uint8Array(bytes.byteLength), { headers }))
  }
}

/** Runs inside a page: what a model writes that is fetched, kept, damaged, and read where no further Worker may start. */
export async function run() {
  const texts: string[] = []
  const visit = async () => texts.push(await text())
  const [first, second] = [await fetched(visit), await fetched(visit)]
  await damage()
  const [damaged, repaired] = [await fetched(visit), await fetched(visit)]
  const forbidden = class {
    constructor() {
      throw new Error('forbidden')
    }
  }
  Object.defineProperty(globalThis, 'Worker', { value: forbidden })
  return { texts, first, second, damaged, repaired, alone: await fetched(visit) }
}
