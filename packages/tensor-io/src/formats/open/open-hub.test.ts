import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ProgressEvent } from '../../core/progress.ts'
import { tensor } from '../../core/tensor.ts'
import { encodeSafetensors } from '../safetensors/encode.ts'
import { openModel } from './open-model.ts'
import { parseHubSpec } from './parse-hub-spec.ts'

const commit = `${'c0ffee'.repeat(6)}c0ff`
const weights = encodeSafetensors({ a: tensor('F32', [3], Float32Array.of(1, 2, 3)) })
const config = Buffer.from('{"model_type":"llama"}')
const sha = (bytes: Uint8Array, algorithm: string) => createHash(algorithm).update(bytes).digest('hex')
let tree: object[]
let server: Server
let hubUrl: string
let cacheDir: string
let downloads: string[]

const templates = [
  {
    type: 'file',
    path: 'additional_chat_templates/tool_use.jinja',
    size: config.length,
    oid: sha(config, 'sha1'),
  },
]

/** Stands in for the hub: the requests that a download makes. */
beforeAll(async () => {
  server = createServer((req, res) => {
    const path = req.url!.split('?')[0]
    const json = (value: object) =>
      res.setHeader('content-type', 'application/json').end(JSON.stringify(value))
    if (path.startsWith('/api/models/me/secret')) return void res.writeHead(401).end('{}')
    if (path === '/api/models/me/model/revision/main')
      return void json({ _id: '1', id: 'me/model', sha: commit })
    if (path === `/api/models/me/model/tree/${commit}`) return void json(tree)
    if (path === `/api/models/me/model/tree/${commit}/additional_chat_templates`) return void json(templates)
    const files: Record<string, Uint8Array> = {
      'config.json': config,
      'model.safetensors': weights,
      'sub/other.safetensors': weights,
      'additional_chat_templates/tool_use.jinja': config,
    }
    const file = files[path.slice(`/me/model/resolve/${commit}/`.length)]
    if (!file) return void res.writeHead(404).end('{}')
    if (req.headers.range === 'bytes=0-0') {
      const range = { 'content-range': `bytes 0-0/${file.length}`, etag: '"x"' }
      return void res.writeHead(206, range).end(file.subarray(0, 1))
    }
    downloads.push(path.split('/').pop()!)
    res.end(file)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  hubUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => server.close())

beforeEach(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'reallm-hub-'))
  downloads = []
  tree = [
    { type: 'directory', path: 'onnx', size: 0, oid: 'a'.repeat(40) },
    { type: 'file', path: 'config.json', size: config.length, oid: sha(config, 'sha1') },
    { type: 'file', path: 'pytorch_model.bin', size: 9, oid: 'b'.repeat(40) },
    {
      type: 'file',
      path: 'model.safetensors',
      size: weights.length,
      oid: 'c'.repeat(40),
      lfs: { oid: sha(weights, 'sha256'), size: weights.length, pointerSize: 130 },
    },
  ]
  return () => rm(cacheDir, { recursive: true })
})

describe('openModel of hf:', () => {
  it('downloads the folder of chat templates', async () => {
    tree.push({ type: 'directory', path: 'additional_chat_templates', size: 0, oid: 'd'.repeat(40) })
    const model = await openModel('hf:me/model', { hubUrl, cacheDir })
    expect(model.files).toEqual(['additional_chat_templates/tool_use.jinja', 'config.json'])
    await model.close()
  })

  it('downloads weights and small files once, in the layout of huggingface_hub', async () => {
    const events: ProgressEvent[] = []
    const options = { hubUrl, cacheDir, onProgress: (e: ProgressEvent) => void events.push(e) }
    const model = await openModel('hf:me/model', options)
    expect(model).toMatchObject({ spec: 'hf:me/model', kind: 'huggingface', config: { model_type: 'llama' } })
    expect([...(await model.readFloat32('a')).data]).toEqual([1, 2, 3])
    await model.close()
    expect(downloads).toEqual(['config.json', 'model.safetensors'])
    expect(events.at(-1)).toEqual({
      event: 'file-end',
      name: 'model.safetensors',
      done: weights.length,
      total: weights.length,
    })
    const snapshot = join(cacheDir, 'models--me--model', 'snapshots', commit)
    expect(await readFile(join(snapshot, 'config.json'))).toEqual(config)

    await (await openModel('hf:me/model', options)).close()
    expect(downloads).toHaveLength(2)
  })

  it('downloads one file of a folder', async () => {
    tree.push({ type: 'file', path: 'sub/other.safetensors', size: weights.length, oid: 'e'.repeat(40) })
    const model = await openModel('hf:me/model/sub/other.safetensors', { hubUrl, cacheDir })
    expect(model).toMatchObject({ kind: 'safetensors', config: {} })
    expect([...(await model.readFloat32('a')).data]).toEqual([1, 2, 3])
    await model.close()
    expect(downloads).toEqual(['other.safetensors'])
  })

  it('uses what was downloaded when the hub cannot be reached', async () => {
    await (await openModel('hf:me/model', { hubUrl, cacheDir })).close()
    const offline = { hubUrl: 'http://127.0.0.1:1', cacheDir }
    await (await openModel('hf:me/model', offline)).close()
    await expect(openModel('hf:me/other', offline)).rejects.toThrow(/hf:me\/other: the hub cannot be reached/)
  })

  it('names what the hub does not have or give', async () => {
    await expect(openModel('hf:me/none', { hubUrl, cacheDir })).rejects.toMatchObject({ code: 'not-found' })
    await expect(openModel('hf:me/secret', { hubUrl, cacheDir })).rejects.toThrow('the hub refuses access')
    await expect(openModel('hf:me/model/x.gguf', { hubUrl, cacheDir })).rejects.toThrow(
      'there is no file x.gguf',
    )
    tree = tree.slice(0, 3)
    await expect(openModel('hf:me/model', { hubUrl, cacheDir })).rejects.toThrow('it has no safetensors')
  })

  it('refuses altered files and hashes that are paths', async () => {
    const last = tree[3] as { lfs: object }
    last.lfs = { oid: 'd'.repeat(64) }
    await expect(openModel('hf:me/model', { hubUrl, cacheDir })).rejects.toMatchObject({ code: 'integrity' })
    last.lfs = { oid: '../../x' }
    await expect(openModel('hf:me/model', { hubUrl, cacheDir })).rejects.toThrow('where a hash is due')
  })

  it('stops when aborted', async () => {
    const signal = AbortSignal.abort()
    await expect(openModel('hf:me/model', { hubUrl, cacheDir, signal })).rejects.toMatchObject({
      code: 'aborted',
    })
  })
})

describe('parseHubSpec', () => {
  it('takes revision and file', () => {
    expect(parseHubSpec('hf:a/b@v1.0/sub/m.gguf')).toEqual({
      repo: 'a/b',
      revision: 'v1.0',
      file: 'sub/m.gguf',
    })
    expect(parseHubSpec('hf:a/b')).toEqual({ repo: 'a/b', revision: 'main', file: undefined })
  })

  it.each(['hf:', 'hf:a', 'hf:a/b/c', 'hf:a/b/../m.gguf'])('refuses %s', spec => {
    expect(() => parseHubSpec(spec)).toThrow('that is no model of the hub')
  })
})
