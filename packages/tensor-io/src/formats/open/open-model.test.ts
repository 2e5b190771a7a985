import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tensor } from '../../core/tensor.ts'
import { encodeSafetensors } from '../safetensors/encode.ts'
import { blobSource, bytesSource } from '../source/index.ts'
import { openFiles, openModel } from './index.ts'

const a = encodeSafetensors({ a: tensor('F32', [3], Float32Array.of(1, 2, 3)) }, { format: 'pt' })
const b = encodeSafetensors({ b: tensor('F32', [1], Float32Array.of(4)) })
const weight_map = { a: 'model-1.safetensors', b: 'model-2.safetensors' }
const tree: Record<string, Uint8Array | string> = {
  'plain/config.json': '{"model_type":"llama"}',
  'plain/tokenizer.json': '{}',
  'plain/model.safetensors': a,
  'sharded/config.json': '{}',
  'sharded/model-1.safetensors': a,
  'sharded/model-2.safetensors': b,
  'sharded/model.safetensors.index.json': JSON.stringify({ metadata: { total_size: 16 }, weight_map }),
  'lacking/model.safetensors.index.json': JSON.stringify({ weight_map }),
  'lacking/model-1.safetensors': a,
  'two/x.safetensors': a,
  'two/y.safetensors': b,
  'pickled/pytorch_model.bin': 'x',
  'damaged/config.json': '{',
  'damaged/model.safetensors': a,
  'node_modules/@me/model/package.json': '{"version":"1.2.0"}',
  'node_modules/@me/model/model/config.json': '{}',
  'node_modules/@me/model/model/model.safetensors': a,
  'node_modules/none/package.json': '{}',
  'npm/@me/model/model/config.json': '{}',
  'npm/@me/model/model/model.safetensors': a,
  'npm/flat@1.0.0/config.json': '{}',
  'npm/flat@1.0.0/model.safetensors': a,
}

let dir: string
let server: Server
let base: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'reallm-open-'))
  for (const [name, content] of Object.entries(tree)) {
    await mkdir(join(dir, name, '..'), { recursive: true })
    await writeFile(join(dir, name), content)
  }
  server = createServer((req, res) => {
    const content = tree[new URL(req.url!, 'http://x').pathname.slice(1)]
    if (content === undefined) {
      if (req.url!.startsWith('/spa/')) return void res.setHeader('content-type', 'text/html').end('<html>')
      return void res.writeHead(404).end()
    }
    const bytes = Buffer.from(content)
    const [, start, last] = /bytes=(\d+)-(\d+)/.exec(req.headers.range!)!
    const end = Math.min(bytes.length, Number(last) + 1)
    res.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` })
    res.end(bytes.subarray(Number(start), end))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  server.close()
  await rm(dir, { recursive: true })
})

describe('openModel', () => {
  it('opens a Hugging Face directory', async () => {
    const model = await openModel(join(dir, 'plain'))
    expect(model).toMatchObject({
      kind: 'huggingface',
      bytes: a.length,
      config: { model_type: 'llama' },
      metadata: { format: 'pt' },
      files: ['config.json', 'tokenizer.json'],
    })
    expect(new TextDecoder().decode(await model.readFile('tokenizer.json'))).toBe('{}')
    await expect(model.readFile('vocab.json')).rejects.toMatchObject({ code: 'not-found' })
    expect([...(await model.readFloat32('a', [1, 3])).data]).toEqual([2, 3])
    await model.close()
  })

  it('opens shards, a file, a file URL and a directory behind a URL alike', async () => {
    const sharded = await openModel(join(dir, 'sharded'))
    expect(sharded).toMatchObject({ bytes: a.length + b.length, metadata: { total_size: 16 } })
    expect([...(await sharded.readFloat32('b')).data]).toEqual([4])
    await sharded.close()
    for (const spec of [
      join(dir, 'plain', 'model.safetensors'),
      pathToFileURL(join(dir, 'plain', 'model.safetensors')).href,
      `${base}/plain/model.safetensors?download=true`,
    ]) {
      const file = await openModel(spec)
      expect(file).toMatchObject({ spec, kind: 'safetensors', config: { model_type: 'llama' } })
      await file.close()
    }
    for (const spec of [`${base}/plain`, `${base}/plain/`, `${base}/sharded/?token=1`]) {
      const model = await openModel(spec)
      expect(model).toMatchObject({ spec, kind: 'huggingface' })
      expect([...(await model.readFloat32('a')).data]).toEqual([1, 2, 3])
    }
    const web = await openModel(`${base}/plain/`)
    expect(web.files).toEqual(['config.json', 'tokenizer.json'])
  })

  it('opens an installed package', async () => {
    const before = process.cwd()
    try {
      process.chdir(join(dir, 'plain'))
      for (const spec of ['npm:@me/model', 'npm:@me/model@1.2.0']) {
        const model = await openModel(spec)
        expect([...(await model.readFloat32('a')).data]).toEqual([1, 2, 3])
        await model.close()
      }
      await expect(openModel('npm:@me/model@2.0.0')).rejects.toMatchObject({
        message: 'npm:@me/model@2.0.0: the package is not installed, version 1.2.0 is',
        hint: 'npm install @me/model@2.0.0',
      })
      await expect(openModel('npm:none')).rejects.toThrow('has no config.json')
      await expect(openModel('npm:@me/missing')).rejects.toMatchObject({ hint: 'npm install @me/missing' })
      await expect(openModel('npm:../x')).rejects.toThrow('that is no package name')
    } finally {
      process.chdir(before)
    }
  })

  it('asks for nothing that a packed model does not have', async () => {
    const missing: string[] = []
    const noting: typeof fetch = async (...request) => {
      const response = await fetch(...request)
      if (!response.ok) missing.push(response.url)
      return response
    }
    const artifact = { base: `${base}/npm/`, fetch: noting, files: ['config.json', 'model.safetensors'] }
    await openModel('npm:@me/model', artifact)
    expect(missing).toEqual([])
  })

  it('opens a package that a CDN serves, in its model folder or not', async () => {
    for (const [spec, root] of [
      ['npm:@me/model', `${base}/npm/`],
      ['npm:flat@1.0.0', `${base}/npm`],
    ]) {
      const model = await openModel(spec, { base: root })
      expect(model).toMatchObject({ spec, kind: 'huggingface' })
      expect([...(await model.readFloat32('a')).data]).toEqual([1, 2, 3])
    }
    await expect(openModel('npm:flat', { base })).rejects.toMatchObject({ code: 'not-found' })
    await expect(openModel('npm:flat', { base: 'npm/' })).rejects.toThrow('base "npm/": that is no URL')
  })

  it.each([
    ['nobody/nothing', 'no such file', 'hf:nobody/nothing'],
    ['./nothing/here', 'no such file', 'a model is a directory'],
    ['lacking', 'the shard model-2.safetensors is missing', 'download the model again'],
    ['two', 'which of its 2 .safetensors files is meant?', 'x.safetensors, y.safetensors'],
    ['pickled', 'there is no model.safetensors', 'pytorch_model.bin is a pickle file'],
    ['damaged', 'config.json: it is not JSON', undefined],
    ['pickled/pytorch_model.bin', 'neither a .safetensors nor a .gguf', 'is a pickle file'],
    ['plain/config.json', 'neither a .safetensors nor a .gguf', 'the directory with config.json'],
    ['URL/nothing/', 'there is no model.safetensors', 'config.json'],
    ['URL/spa/', 'there is no model.safetensors', 'config.json'],
  ])('says what is wrong with %s', async (name, message, hint) => {
    const spec = name.startsWith('URL') ? base + name.slice(3) : name.includes('no') ? name : join(dir, name)
    const error = await openModel(spec).catch((e: Error) => e)
    expect(error).toMatchObject({ name: 'ReallmError', message: expect.stringContaining(message) })
    if (hint) expect(error).toMatchObject({ hint: expect.stringContaining(hint) })
  })
})

describe('openFiles', () => {
  it('opens what was dropped on a page', async () => {
    const files = [
      {
        name: 'm/config.json',
        source: bytesSource('config.json', await readFile(join(dir, 'plain/config.json'))),
      },
      { name: 'm/model.safetensors', source: blobSource('model.safetensors', new Blob([a])) },
    ]
    const model = await openFiles(files)
    expect(model.config).toEqual({ model_type: 'llama' })
    expect([...(await model.readFloat32('a')).data]).toEqual([1, 2, 3])
    await expect(model.readFile('tokenizer.json')).rejects.toThrow('tokenizer.json is not among the files')
    await expect(openFiles(files.slice(0, 1))).rejects.toThrow('there is no model.safetensors')
  })
})
