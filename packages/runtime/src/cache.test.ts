import { beforeEach, describe, expect, it } from 'vitest'
import { type ByteCache, cachingFetch } from './cache.ts'

const url = 'https://example.com/model.safetensors'
const stored = new Map<string, Response>()
const cache: ByteCache = {
  match: async key => stored.get(key)?.clone(),
  put: async (key, response) => void stored.set(key, response),
  delete: async key => stored.delete(key),
}
let file = Uint8Array.from({ length: 17_000_000 }, (_, i) => (i * 7) >> 3)
let etag = 'one'
let online = true
let requests: string[] = []

const network = (async (_: string, init?: RequestInit) => {
  const range = new Headers(init?.headers).get('range') ?? ''
  if (!online) throw new TypeError('offline')
  requests.push(range)
  const [, start, end] = /bytes=(\d+)-(\d+)/.exec(range)!.map(Number)
  const last = Math.min(end, file.length - 1)
  const headers = { 'Content-Range': `bytes ${start}-${last}/${file.length}`, ETag: etag }
  return new Response(file.slice(start, last + 1), { status: 206, headers })
}) as typeof fetch

async function read(start: number, end: number): Promise<Uint8Array> {
  const get = cachingFetch(cache, network)
  const response = await get(url, { headers: { Range: `bytes=${start}-${end - 1}` } })
  expect(response.status).toBe(206)
  const last = Math.min(end, file.length) - 1
  expect(response.headers.get('content-range')).toBe(`bytes ${start}-${last}/${file.length}`)
  return new Uint8Array(await response.arrayBuffer())
}

beforeEach(() => {
  stored.clear()
  requests = []
  online = true
})

describe('cachingFetch', () => {
  it('fetches a range once, across chunks and at the end of the file', async () => {
    for (let round = 0; round < 2; round++) {
      expect(Buffer.compare(await read(8_000_000, 8_500_000), file.subarray(8_000_000, 8_500_000))).toBe(0)
      expect(Buffer.compare(await read(16_999_990, 17_500_000), file.subarray(16_999_990))).toBe(0)
    }
    expect(requests.filter(range => range !== 'bytes=0-0')).toEqual([
      'bytes=0-8388607',
      'bytes=8388608-16777215',
      'bytes=16777216-16999999',
    ])
  })

  it('asks once for the first piece of a file, and for a byte when that is kept', async () => {
    await read(0, 100)
    expect(requests).toEqual(['bytes=0-8388607'])
    await read(0, 100)
    expect(requests.slice(1)).toEqual(['bytes=0-0'])
  })

  it('reads a piece once while it is used', async () => {
    const get = cachingFetch(cache, network)
    const range = (start: number) => get(url, { headers: { Range: `bytes=${start}-${start + 9}` } })
    await range(0)
    await range(9_000_000)
    stored.clear()
    for (const start of [10, 9_000_010, 20]) expect((await range(start)).status).toBe(206)
    expect(requests).toHaveLength(2)
  })

  it('answers without a network what it has', async () => {
    await read(0, 100)
    online = false
    expect(Buffer.compare(await read(50, 90), file.subarray(50, 90))).toBe(0)
    await expect(read(16_999_000, 17_000_000)).rejects.toThrow('offline')
  })

  it('fetches damaged pieces again', async () => {
    await read(0, 100)
    const key = [...stored.keys()].find(name => name.endsWith('reallm-part=0'))!
    const { headers } = stored.get(key)!
    stored.set(key, new Response(new Uint8Array(8_388_608), { headers }))
    expect(Buffer.compare(await read(50, 90), file.subarray(50, 90))).toBe(0)
  })

  it('fetches pieces that the cache cannot read', async () => {
    await read(0, 100)
    const unreadable: ByteCache = {
      ...cache,
      match: async key =>
        key.endsWith('=0') ? Promise.reject(new Error('damaged')) : stored.get(key)?.clone(),
    }
    const response = await cachingFetch(unreadable, network)(url, { headers: { Range: 'bytes=50-89' } })
    expect(Buffer.compare(new Uint8Array(await response.arrayBuffer()), file.subarray(50, 90))).toBe(0)
  })

  it('forgets a file that has changed', async () => {
    await read(0, 100)
    file = file.map(byte => byte ^ 255)
    etag = 'two'
    expect(Buffer.compare(await read(50, 90), file.subarray(50, 90))).toBe(0)
  })

  it('refuses a file that changes between two pieces, and never mixes them', async () => {
    const get = cachingFetch(cache, network)
    const range = (start: number, end: number) =>
      get(url, { headers: { Range: `bytes=${start}-${end - 1}` } })
    await range(0, 100)
    file = file.map(byte => byte ^ 255)
    etag = 'three'
    await expect(range(9_000_000, 9_000_100)).rejects.toMatchObject({ code: 'integrity' })
    expect(Buffer.compare(await read(0, 100), file.subarray(0, 100))).toBe(0)
    expect(Buffer.compare(await read(9_000_000, 9_000_100), file.subarray(9_000_000, 9_000_100))).toBe(0)
  })

  it('refuses another range than it asked for', async () => {
    const shifted = (async (_: string, init?: RequestInit) => {
      const [, start, end] = /bytes=(\d+)-(\d+)/
        .exec(new Headers(init?.headers).get('range') ?? '')!
        .map(Number)
      return network(url, { headers: { Range: end === 0 ? 'bytes=0-0' : `bytes=${start + 1}-${end + 1}` } })
    }) as typeof fetch
    const asked = cachingFetch(cache, shifted)(url, { headers: { Range: 'bytes=0-99' } })
    await expect(asked).rejects.toThrow('does not fit the bytes that were asked for')
    expect([...stored.keys()].filter(key => !key.endsWith('version'))).toEqual([])
  })

  it('keeps nothing of a file whose versions cannot be told apart', async () => {
    const plain = (async (...request: Parameters<typeof fetch>) => {
      const answer = await network(...request)
      answer.headers.delete('etag')
      return answer
    }) as typeof fetch
    await (await cachingFetch(cache, plain)(url, { headers: { Range: 'bytes=0-99' } })).arrayBuffer()
    expect(stored.size).toBe(0)
  })

  it('passes on what is no range request', async () => {
    const plain = cachingFetch(cache, (async () => new Response('whole')) as typeof fetch)
    expect(await (await plain(url)).text()).toBe('whole')
    const ignored = await plain(url, { headers: { Range: 'bytes=0-99' } })
    expect([ignored.status, await ignored.text()]).toEqual([200, 'whole'])
  })
})
