import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openFileSource } from './disk.ts'
import { type ByteSource, blobSource, bytesSource, openUrlSource } from './index.ts'

const content = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 31) >> 3)
let dir: string
let server: Server
let base: string
const requests: string[] = []
let failures = 0

const answer: RequestListener = (req, res) => {
  requests.push(`${req.method} ${req.url} ${req.headers.range ?? ''}`.trim())
  const range = /bytes=(\d+)-(\d+)/.exec(req.headers.range ?? '')
  if (req.url === '/missing') return void res.writeHead(404).end()
  if (req.url === '/secret') return void res.writeHead(403).end()
  if (req.url === '/flaky' && failures++ < 2) return void res.writeHead(503).end()
  if (req.url === '/empty') return void res.writeHead(416, { 'content-range': 'bytes */0' }).end()
  if (req.method === 'HEAD') return void res.writeHead(200, { 'content-length': content.length }).end()
  if (req.url === '/whole' || !range) return void res.writeHead(200).end(content)
  const [start, end] = [Number(range[1]), Math.min(Number(range[2]) + 1, content.length)]
  const part = content.subarray(start, req.url === '/short' && start > 0 ? end - 1 : end)
  const hidden = req.url === '/hidden'
  res
    .writeHead(206, hidden ? {} : { 'content-range': `bytes ${start}-${end - 1}/${content.length}` })
    .end(part)
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'reallm-source-'))
  await writeFile(join(dir, 'data'), content)
  server = createServer(answer)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterAll(async () => {
  server.close()
  await rm(dir, { recursive: true })
})

const kinds: Record<string, () => Promise<ByteSource>> = {
  bytes: async () => bytesSource('data', content),
  blob: async () => blobSource('data', new Blob([content])),
  file: () => openFileSource(join(dir, 'data')),
  'url with ranges': () => openUrlSource(`${base}/data`),
  'url without ranges': () => openUrlSource(`${base}/whole`),
  'url that hides Content-Range': () => openUrlSource(`${base}/hidden`),
  'url that fails twice': () => openUrlSource(`${base}/flaky`),
}

describe.each(Object.entries(kinds))('%s', (_, open) => {
  it('reads ranges in buffers of their own and refuses what is not there', async () => {
    const source = await open()
    expect(source.size).toBe(content.length)
    for (const [start, end] of [
      [0, 8],
      [70_000, 150_001],
      [199_999, 200_000],
      [5, 5],
    ] as const) {
      const bytes = await source.read(start, end)
      expect(bytes.buffer.byteLength).toBe(end - start)
      expect(Buffer.compare(bytes, content.subarray(start, end))).toBe(0)
      const view = (await source.view?.(start, end)) ?? bytes
      expect(Buffer.compare(view, bytes)).toBe(0)
    }
    await expect(source.read(199_999, 200_001)).rejects.toThrow('has 200000 bytes')
    await expect(source.read(0, 2 ** 52)).rejects.toMatchObject({ code: 'bad-file' })
    await expect(source.read(0, 10, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'aborted',
    })
    await source.close()
  })
})

describe('openFileSource', () => {
  it('names a missing file and a directory', async () => {
    await expect(openFileSource(join(dir, 'nope'))).rejects.toThrow(/nope: no such file/)
    await expect(openFileSource(dir)).rejects.toThrow(/is a directory/)
    await expect(openFileSource('/dev/null')).rejects.toThrow(/a pipe or a device|no such file/)
    const pipe = join(dir, 'config.json')
    if (spawnSync('mkfifo', [pipe]).status !== 0) return
    await expect(openFileSource(pipe)).rejects.toThrow(`${pipe} is a pipe or a device`)
  })
})

describe('openUrlSource', () => {
  it('copies what fetch keeps, but for a view', async () => {
    const kept = new Uint8Array(100_000)
    const keeping = (async (_: string, init?: RequestInit) => {
      const [start, last] = /(\d+)-(\d+)/.exec(new Headers(init?.headers).get('range')!)!.slice(1).map(Number)
      const body = new ReadableStream({
        start(controller) {
          controller.enqueue(kept.subarray(start, last + 1))
          controller.close()
        },
      })
      const headers = {
        'content-range': `bytes ${start}-${Math.min(last + 1, kept.length) - 1}/${kept.length}`,
      }
      return new Response(body, { status: 206, headers })
    }) as typeof fetch
    const source = await openUrlSource('https://example.com/x', { fetch: keeping })
    expect((await source.read(10, 90_000)).buffer).not.toBe(kept.buffer)
    expect((await source.view!(10, 90_000)).buffer).toBe(kept.buffer)
  })

  it('needs one request for the first bytes of a file', async () => {
    requests.length = 0
    const source = await openUrlSource(`${base}/data`)
    await source.read(0, 1000)
    expect(requests).toEqual(['GET /data bytes=0-65535'])
  })

  it('opens an empty file', async () => {
    expect((await openUrlSource(`${base}/empty`)).size).toBe(0)
  })

  const served = async (respond: RequestListener, run: (url: string) => Promise<void>) => {
    const own = createServer(respond)
    await new Promise<void>(resolve => own.listen(0, '127.0.0.1', resolve))
    try {
      await run(`http://127.0.0.1:${(own.address() as AddressInfo).port}/model.safetensors`)
    } finally {
      own.closeAllConnections()
      own.close()
    }
  }
  const rangeOf = (req: IncomingMessage) => {
    const [start, last] = /(\d+)-(\d+)/.exec(req.headers.range!)!.slice(1).map(Number)
    return [start, Math.min(last + 1, content.length)] as const
  }
  const headersOf = (start: number, end: number) => ({
    'content-range': `bytes ${start}-${end - 1}/${content.length}`,
    'content-length': end - start,
  })

  it.each([
    ['an ETag', (n: number) => ({ etag: `"${n}"` }), 'the file changed while it was read'],
    ['a date', (n: number) => ({ 'last-modified': new Date(n).toUTCString() }), 'the file changed'],
    [
      'its size',
      (n: number) => ({ 'content-range': `bytes 100000-100099/${200_000 + n}` }),
      'the file changed',
    ],
    ['another range', () => ({ 'content-range': 'bytes 100001-100100/200000' }), 'does not fit the bytes'],
    ['too long a body', () => ({ 'content-range': 'bytes 100000-100049/200000' }), 'does not fit the bytes'],
  ])('refuses later bytes that differ by %s', async (_, headers, message) => {
    await served(
      (req, res) => {
        const [start, end] = rangeOf(req)
        const odd = start === 0 ? { ...headers(0), ...headersOf(0, end) } : headers(5000)
        res.writeHead(206, { ...headersOf(start, end), ...odd }).end(content.subarray(start, end))
      },
      async url => {
        const source = await openUrlSource(url)
        await expect(source.read(100_000, 100_100)).rejects.toThrow(message)
      },
    )
  })

  it('asks for later bytes on condition that the file is the same', async () => {
    const conditions: unknown[] = []
    await served(
      (req, res) => {
        const [start, end] = rangeOf(req)
        conditions.push(req.headers['if-range'])
        if (start > 0) return void res.writeHead(200, { etag: '"new"' }).end(content)
        res.writeHead(206, { ...headersOf(start, end), etag: '"old"' }).end(content.subarray(start, end))
      },
      async url => {
        const source = await openUrlSource(url)
        await expect(source.read(100_000, 100_100)).rejects.toMatchObject({ code: 'integrity' })
        expect(conditions).toEqual([undefined, '"old"'])
      },
    )
  })

  it('goes on where a connection broke', async () => {
    const asked: string[] = []
    await served(
      (req, res) => {
        const [start, end] = rangeOf(req)
        asked.push(req.headers.range!)
        res.writeHead(206, headersOf(start, end))
        if (asked.length !== 2) return void res.end(content.subarray(start, end))
        res.write(content.subarray(start, start + 1000), () => req.socket.destroy())
      },
      async url => {
        const source = await openUrlSource(url)
        const bytes = await source.read(100_000, 150_000)
        expect(Buffer.compare(bytes, content.subarray(100_000, 150_000))).toBe(0)
        expect(asked.slice(1)).toEqual(['bytes=100000-149999', 'bytes=101000-149999'])
      },
    )
  })

  it('calls an abort inside a body aborted', async () => {
    const stop = new AbortController()
    await served(
      (req, res) => {
        const [start, end] = rangeOf(req)
        res.writeHead(206, headersOf(start, end))
        if (start === 0) return void res.end(content.subarray(start, end))
        res.write(content.subarray(start, start + 10), () => stop.abort())
      },
      async url => {
        const source = await openUrlSource(url, { signal: stop.signal })
        await expect(source.read(100_000, 150_000)).rejects.toMatchObject({ code: 'aborted' })
      },
    )
  })

  it('says what the server refused', async () => {
    await expect(openUrlSource(`${base}/missing`)).rejects.toMatchObject({ code: 'not-found' })
    await expect(openUrlSource(`${base}/secret`)).rejects.toThrow('the server answered 403 Forbidden')
    const short = await openUrlSource(`${base}/short`)
    await expect(short.read(70_000, 80_000)).rejects.toThrow('does not fit the bytes')
    await expect(openUrlSource('http://127.0.0.1:1/x')).rejects.toThrow(/connection failed/)
  })
})
