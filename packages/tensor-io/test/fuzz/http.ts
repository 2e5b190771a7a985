import fc from 'fast-check'
import { openUrlSource } from '../../src/index.ts'
import { type Check, target } from './target.ts'

const url = 'http://models.example/model.safetensors'
const content = Uint8Array.from({ length: 150_000 }, (_, i) => (i * 31) >> 3)
const other = content.map(byte => byte ^ 255)

const kinds = ['status', 'range', 'size', 'no range', 'short', 'long', 'break', 'whole', 'other'] as const

/** What goes wrong with one answer. */
const fault = fc.record({
  request: fc.nat(5),
  kind: fc.constantFrom(...kinds),
  amount: fc.oneof(fc.nat(2000), fc.constantFrom(2 ** 31, 2 ** 53, 1e300)),
})
type Fault = typeof fault extends fc.Arbitrary<infer T> ? T : never

/** A body that ends with an error after so many bytes. */
function breaking(bytes: Uint8Array<ArrayBuffer>, after: number): ReadableStream {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes.subarray(0, Math.max(1, Math.min(after, bytes.length - 1))))
    },
    pull(controller) {
      controller.error(new Error('the connection broke'))
    },
  })
}

function answer(range: string, { kind, amount }: Partial<Fault>): Response {
  const [start, last] = /(\d+)-(\d+)/.exec(range)!.slice(1).map(Number)
  const end = Math.min(last + 1, content.length)
  const of = kind === 'other' ? other : content
  const headers: Record<string, string> = {
    etag: kind === 'other' ? '"two"' : '"one"',
    'content-range': `bytes ${start}-${end - 1}/${content.length}`,
  }
  let body: Uint8Array<ArrayBuffer> | ReadableStream = of.slice(start, end)
  let status = 206
  if (kind === 'status') status = [200, 204, 302, 404, 416, 418, 500, 599][amount! % 8]
  if (kind === 'whole') status = 200
  if (kind === 'range')
    headers['content-range'] = `bytes ${amount}-${amount! + end - start - 1}/${content.length}`
  if (kind === 'size') headers['content-range'] = `bytes ${start}-${end - 1}/${amount}`
  if (kind === 'no range') delete headers['content-range']
  if (kind === 'short') body = body.slice(0, Math.max(0, body.length - 1 - (amount! % 100)))
  if (kind === 'long') body = content.slice(start, end + 1 + (amount! % 100))
  if (status === 200) body = of.slice()
  if (kind === 'break') body = breaking(body, amount! % 5000)
  return new Response(status === 204 ? null : body, { status, headers })
}

/** Without the pauses before another attempt. */
const hurried =
  (check: Check): Check =>
  async (...args) => {
    const { setTimeout } = globalThis
    globalThis.setTimeout = ((run: () => void) => setTimeout(run)) as typeof setTimeout
    try {
      return await check(...args)
    } finally {
      globalThis.setTimeout = setTimeout
    }
  }

/** Answers of a server that errs: bytes are those of one version of the file, or there is an error. */
export const http: Readonly<Record<string, Check>> = {
  'HTTP answers': hurried(
    target(
      { bytes: content.length, names: /models\.example/ },
      fc.array(fault, { minLength: 1, maxLength: 4 }),
      async faults => {
        let asked = 0
        let version: Uint8Array | undefined
        const source = await openUrlSource(url, {
          fetch: async (_, init) => {
            if (init?.method === 'HEAD')
              return new Response(null, { headers: { 'content-length': String(content.length) } })
            const request = asked++
            const range = new Headers(init?.headers).get('range')!
            return answer(range, faults.find(each => each.request === request) ?? {})
          },
        })
        for (const [start, end] of [
          [0, 100],
          [66_000, 66_100],
          [60_000, 150_000],
        ]) {
          const bytes = await source.read(start, end)
          version ??= bytes[0] === content[start] ? content : other
          if (Buffer.compare(bytes, version.subarray(start, end)) !== 0)
            throw new Error(`bytes ${start} to ${end} are of another version`)
        }
      },
    ),
  ),
}
