import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'
import { pipeline } from 'node:stream'

/** With these a page may share memory between threads; without them everything runs on one. */
export const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
}

export interface ServeOptions {
  /** The built site. */
  readonly folder: string
  /** 0, the default: any free one. */
  readonly port?: number
  /** Whether the isolation headers are sent; default true. */
  readonly isolated?: boolean
}

export interface RunningServer {
  readonly url: string
  close(): Promise<void>
}

const types: Record<string, string> = {
  '.css': 'text/css',
  '.gguf': 'application/octet-stream',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.md': 'text/markdown; charset=utf-8',
  '.safetensors': 'application/octet-stream',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.woff2': 'font/woff2',
}

/**
 * Serves a built site on this machine, with ranges, as the runtime asks for them, and clean URLs. Browsers keep assets, and ask
 * whether anything else has changed.
 */
export async function serve({ folder, port = 0, isolated = true }: ServeOptions): Promise<RunningServer> {
  const server = createServer((request, response) => {
    if (isolated) for (const [name, value] of Object.entries(isolation)) response.setHeader(name, value)
    answer(folder, request, response).catch(error => {
      response.writeHead(500).end(String(error))
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function answer(folder: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = normalize(decodeURIComponent(new URL(request.url!, 'http://site').pathname))
  const found = await firstFile(folder, [path, `${path}.html`, join(path, 'index.html')])
  if (!found) {
    response.writeHead(404, { 'Content-Type': 'text/html; charset=utf-8' })
    createReadStream(join(folder, '404.html'))
      .on('error', () => response.end())
      .pipe(response)
    return
  }
  const { file, size, modified } = found
  response.setHeader('Content-Type', types[extname(file)] ?? 'application/octet-stream')
  response.setHeader('Accept-Ranges', 'bytes')
  const tag = `"${size.toString(36)}-${modified.toString(36)}"`
  response.setHeader('ETag', tag)
  // names of assets hold a digest of what is in them
  response.setHeader(
    'Cache-Control',
    path.startsWith('/assets/') ? 'max-age=31536000, immutable' : 'no-cache',
  )
  if (request.headers['if-none-match'] === tag) {
    response.writeHead(304).end()
    return
  }
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
  const start = range ? Number(range[1]) : 0
  const end = Math.min(range?.[2] ? Number(range[2]) + 1 : size, size)
  if (range && start >= end) {
    response.writeHead(416, { 'Content-Range': `bytes */${size}` }).end()
    return
  }
  if (range) response.setHeader('Content-Range', `bytes ${start}-${end - 1}/${size}`)
  response.writeHead(range ? 206 : 200, { 'Content-Length': end - start })
  if (request.method === 'HEAD' || size === 0) response.end()
  else pipeline(createReadStream(file, { start, end: end - 1 }), response, () => {})
}

async function firstFile(folder: string, paths: readonly string[]) {
  for (const path of paths) {
    const file = join(folder, path)
    const found = await stat(file).catch(() => undefined)
    if (found?.isFile()) return { file, size: found.size, modified: Math.floor(found.mtimeMs) }
  }
  return undefined
}
