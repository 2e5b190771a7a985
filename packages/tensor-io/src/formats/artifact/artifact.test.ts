import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { negated, rowGrid } from '../../../test/toy-codecs.ts'
import { bitsPerWeight, type EncodedMatrix } from '../../codec/encoded-matrix.ts'
import { createRegistry } from '../../codec/registry.ts'
import type { ReallmError } from '../../core/errors.ts'
import { random } from '../../core/random.ts'
import { matrix, tensor } from '../../core/tensor.ts'
import type { ModelFiles } from '../model-files.ts'
import { openFiles, openModel } from '../open/index.ts'
import { encodeSafetensors } from '../safetensors/encode.ts'
import { blobSource } from '../source/index.ts'
import { createArtifactWriter, loadEncoded, readArtifact, saveEncoded } from './index.ts'

const registry = createRegistry([rowGrid], [negated])
const draw = random(7)
const w = matrix(
  Array.from({ length: 60 }, () => draw.normal()),
  [6, 10],
)
const bias = tensor('F32', [6], Float32Array.of(1, 2, 3, 4, 5, 6))
const original: Pick<ModelFiles, 'files' | 'readFile'> = {
  files: ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'README.md', 'training-log.jsonl'],
  readFile: async name => new TextEncoder().encode(`${name} of the original`),
}
const config = { model_type: 'llama', quantization_config: { quant_method: 'gptq' } }

let dir: string
let plain: EncodedMatrix
let wrapped: EncodedMatrix
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'reallm-artifact-'))
  plain = await rowGrid.encode(w, { bits: 8 }, { seed: 1 })
  wrapped = await negated.wrap(rowGrid).encode(w, { inner: { bits: 8 } }, { seed: 1 })
  rowGrid.decoded.length = 0
})
afterEach(() => rm(dir, { recursive: true }))

async function write(to = dir, shards = true) {
  const writer = await createArtifactWriter(to, { config, filesOf: original })
  await writer.addMatrix('l.0.q_proj', wrapped)
  await writer.addTensor('l.0.q_proj.bias', bias)
  if (shards) {
    await writer.nextShard()
    await writer.nextShard()
  }
  await writer.addMatrix('embed', plain)
  return writer.finish({ perplexity: 3 }, '# card')
}

const shard = (n: number) => join(dir, `model-0000${n}-of-00002.safetensors`)
const opened = (options = {}) => openModel(dir, { registry, ...options })
const failure = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (e: ReallmError) => e,
  )

describe('createArtifactWriter', () => {
  it('writes a Hugging Face directory with shards, index, report, card and copies', async () => {
    const { files, bytes } = await write()
    expect(files).toEqual([
      'README.md',
      'config.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
      'reallm-report.json',
      'tokenizer.json',
      'tokenizer_config.json',
    ])
    expect((await readdir(dir)).sort()).toEqual(files)
    expect(await readFile(join(dir, 'tokenizer.json'), 'utf8')).toBe('tokenizer.json of the original')
    expect(await readFile(join(dir, 'README.md'), 'utf8')).toBe('# card')
    const written = JSON.parse(await readFile(join(dir, 'config.json'), 'utf8'))
    expect(written.model_type).toBe('llama')
    expect(written.quantization_config).toEqual({
      quant_method: 'reallm',
      version: 1,
      modules: {
        embed: {
          codec: 'row-grid',
          params: { bits: 8 },
          shape: [6, 10],
          parts: ['codes', 'scales'],
          bits: 11.2,
        },
        'l.0.q_proj': {
          codec: 'negated',
          params: { inner: { bits: 8 } },
          shape: [6, 10],
          parts: ['sign'],
          inner: { codec: 'row-grid', params: { bits: 8 }, shape: [6, 10], parts: ['codes', 'scales'] },
          bits: bitsPerWeight(wrapped),
        },
      },
    })
    const index = JSON.parse(await readFile(join(dir, 'model.safetensors.index.json'), 'utf8'))
    expect(index.metadata.total_size).toBe(bytes)
    expect(index.weight_map['l.0.q_proj.inner.codes']).toBe('model-00001-of-00002.safetensors')
  })

  it('gives the same bytes again, in one shard or several, and replaces an artifact', async () => {
    await write()
    const other = join(dir, 'other')
    await write(other, false)
    const { files } = await write(other)
    expect((await readdir(other)).sort()).toEqual(files)
    for (const name of files)
      expect(await readFile(join(other, name))).toEqual(await readFile(join(dir, name)))
    await write(other, false)
    expect((await readdir(other)).filter(name => name.endsWith('.safetensors'))).toEqual([
      'model.safetensors',
    ])
    await (await openModel(other, { registry })).close()
  })

  it('shards by size', async () => {
    const writer = await createArtifactWriter(dir, { config, maxShardBytes: 20 })
    await writer.addTensor('a', bias)
    await writer.addTensor('b', bias)
    expect((await writer.finish()).files).toContain('model-00002-of-00002.safetensors')
  })

  it('clears what an interrupted run left, and keeps nothing when aborted', async () => {
    await writeFile(join(dir, 'shard-1.partial.partial'), 'x')
    const writer = await createArtifactWriter(dir, { config })
    expect(await readdir(dir)).toEqual([])
    await writer.addTensor('a', bias)
    await writer.nextShard()
    await writer.abort()
    expect(await readdir(dir)).toEqual([])
  })

  it.skipIf(!existsSync('/dev/full'))('leaves nothing behind on a full disk', async () => {
    for (const name of ['shard-2.partial.partial', 'tokenizer.json.partial', 'config.json.partial']) {
      const full = join(dir, name)
      const writer = await createArtifactWriter(full, { config, filesOf: original })
      await symlink('/dev/full', join(full, name))
      await writer.addTensor('a', bias)
      await writer.nextShard()
      await writer.addTensor('b', bias)
      const error = await failure(writer.finish())
      expect(error).toMatchObject({ code: 'io', message: expect.stringContaining('the disk is full') })
      expect(await readdir(full)).toEqual([])
    }
  })

  it('refuses a directory with another model, and names that are taken', async () => {
    const writer = await createArtifactWriter(dir, { config })
    await writer.addTensor('embed.codes', bias)
    await expect(writer.addMatrix('embed', plain)).rejects.toThrow('embed.codes is in the artifact already')
    await writeFile(join(dir, 'model.safetensors'), encodeSafetensors({ bias }))
    await expect(createArtifactWriter(dir, { config })).rejects.toThrow(
      'there is a model in it that is not an artifact',
    )
    await writeFile(join(dir, 'config.json'), '{"model_type":"llama"}')
    await expect(createArtifactWriter(dir, { config })).rejects.toMatchObject({ code: 'bad-option' })
  })
})

describe('an artifact opened with a registry', () => {
  it('reads as if it were stored plainly', async () => {
    await write()
    const model = await opened()
    expect(model.kind).toBe('artifact')
    expect(model.files).toEqual([
      'README.md',
      'config.json',
      'reallm-report.json',
      'tokenizer.json',
      'tokenizer_config.json',
    ])
    expect([...model.tensors]).toEqual([
      ['l.0.q_proj.bias', expect.objectContaining({ dtype: 'F32', shape: [6] })],
      ['embed.weight', { dtype: 'row-grid', shape: [6, 10], bytes: 84 }],
      ['l.0.q_proj.weight', { dtype: 'negated', shape: [6, 10], bytes: 85 }],
    ])
    for (const name of ['embed.weight', 'l.0.q_proj.weight']) {
      const read = await model.readFloat32(name)
      expect(read.shape).toEqual([6, 10])
      read.data.forEach((v, i) => {
        expect(Math.abs(v - w.data[i])).toBeLessThan(0.02)
      })
      expect((await model.readFloat32(name, [2, 5])).data).toEqual(read.data.slice(20, 50))
    }
    expect((await model.read('l.0.q_proj.bias')).data).toEqual(bias.data)
    expect((await model.readFloat32('l.0.q_proj.bias', [1, 2])).data).toEqual(Float32Array.of(2))
    await expect(model.read('embed.codes')).rejects.toMatchObject({
      hint: 'the nearest name is embed.weight',
    })
    await expect(model.readFloat32('embed.weight', [5, 7])).rejects.toThrow(
      'embed.weight [6×10]: there are no rows 5 to 7',
    )
    await model.close()
  })

  it('decodes single rows where the codec can, and whole matrices once where not', async () => {
    await write()
    const model = await opened()
    await model.readFloat32('embed.weight', [3, 4])
    await model.readFloat32('embed.weight', [0, 2])
    expect(rowGrid.decoded).toEqual(['3–4', '0–2'])
    await model.readFloat32('l.0.q_proj.weight', [0, 3])
    await model.readFloat32('l.0.q_proj.weight', [3, 6])
    expect(rowGrid.decoded).toEqual(['3–4', '0–2', '0–6'])
    await model.close()
  })

  it('names the module whose stored form is damaged', async () => {
    const scales = tensor('F32', [5], new Float32Array(5))
    const broken = { ...plain, parts: { ...plain.parts, scales } }
    const writer = await createArtifactWriter(dir, { config })
    await writer.addMatrix('embed', broken)
    await writer.addMatrix('other', { ...plain, codec: 'unheard-of' })
    await writer.finish()
    const model = await opened()
    await expect(model.read('other.weight')).rejects.toThrow(`${dir}: other: unknown codec unheard-of`)
    await expect(model.read('embed.weight')).rejects.toThrow(
      `${dir}: embed: row-grid [6×10]: the part scales is F32 [5]`,
    )
    await model.close()
  })
})

describe('matrices that share a tensor', () => {
  const square = matrix(
    Array.from({ length: 100 }, () => draw.normal()),
    [10, 10],
  )

  it('hold it once, split its bits, and read as if each had its own', async () => {
    const first = await rowGrid.encode(square, { bits: 8 }, { seed: 1 })
    const scales = tensor(
      'F32',
      [10],
      Float32Array.from({ length: 10 }, (_, i) => i + 1),
    )
    const second = { ...first, parts: { ...first.parts, scales } }
    const writer = await createArtifactWriter(dir, { config })
    await writer.addMatrix('a', first)
    await writer.nextShard()
    await writer.addMatrix('b', second)
    await writer.finish()
    const files = await openModel(dir)
    expect([...files.tensors.keys()].sort()).toEqual(['a.codes', 'a.scales', 'b.scales'])
    const { modules, readEncoded } = readArtifact(files)
    expect(modules.get('b')).toMatchObject({ shared: { codes: 'a.codes' }, bits: 4 + 3.2 })
    expect(modules.get('a')!.bits).toBe(modules.get('b')!.bits)
    expect(await readEncoded('b')).toEqual(second)
    await files.close()
    const model = await opened()
    expect([...model.tensors.keys()]).toEqual(['a.weight', 'b.weight'])
    expect((await model.readFloat32('b.weight')).data).toEqual(rowGrid.decode(second).data)
    await model.close()
    const path = join(dir, 'config.json')
    await writeFile(path, (await readFile(path, 'utf8')).replace('"a.codes"', '"c.codes"'))
    expect(await failure(opened())).toMatchObject({
      message: expect.stringContaining('b [10×10]: its part codes is missing'),
    })
  })
})

describe('an artifact opened without a registry', () => {
  it('gives the stored matrices', async () => {
    await write()
    const model = await openModel(dir)
    expect(model.tensors.has('embed.codes')).toBe(true)
    const { modules, readEncoded } = readArtifact(model)
    expect([...modules.keys()]).toEqual(['embed', 'l.0.q_proj'])
    expect(await readEncoded('l.0.q_proj')).toEqual(wrapped)
    expect(modules.get('embed')!.bits).toBe(11.2)
    await expect(readEncoded('embet')).rejects.toMatchObject({ hint: 'the nearest name is embed' })
    await model.close()
  })

  it('opens from one of its shards, and from files in hand', async () => {
    await write()
    const byShard = await openModel(shard(1), { registry })
    expect(byShard.tensors.has('embed.weight')).toBe(true)
    await byShard.close()
    const files = await Promise.all(
      (await readdir(dir)).map(async name => ({
        name,
        source: blobSource(name, new Blob([await readFile(join(dir, name))])),
      })),
    )
    const dropped = await openFiles(files, { registry, verify: true })
    expect((await dropped.readFloat32('embed.weight', [0, 1])).shape).toEqual([1, 10])
  })

  it('is asked of models that are artifacts only', async () => {
    await writeFile(join(dir, 'model.safetensors'), encodeSafetensors({ bias }))
    const model = await openModel(dir)
    expect(() => readArtifact(model)).toThrow('it is no compressed artifact but a huggingface model')
    await model.close()
  })
})

describe('a damaged artifact is refused', () => {
  it('by the name of a truncated, longer, altered or missing shard', async () => {
    await write()
    const bytes = await readFile(shard(2))
    await truncate(shard(2), bytes.length - 1)
    expect(await failure(opened())).toMatchObject({
      code: 'integrity',
      message: expect.stringContaining('model-00002-of-00002.safetensors is truncated'),
    })
    await writeFile(shard(2), Buffer.concat([bytes, Buffer.of(0)]))
    expect((await failure(opened()))?.message).toContain('model-00002-of-00002.safetensors is altered')
    const flipped = Buffer.from(bytes)
    flipped[flipped.length - 1] ^= 1
    await writeFile(shard(2), flipped)
    expect(await failure(opened())).toMatchObject({
      code: 'integrity',
      message: expect.stringContaining('model-00002-of-00002.safetensors was altered'),
    })
    await (await opened({ verify: false })).close()
    await rm(shard(2))
    expect((await failure(opened()))?.message).toContain(
      'the shard model-00002-of-00002.safetensors is missing',
    )
  })

  it.each([
    [
      'no version',
      (q: Json) => ({ ...q, version: undefined }),
      'quantization_config of its config.json has no version',
    ],
    ['version', (q: Json) => ({ ...q, version: 2 }), 'artifact version 2; this release reads version 1'],
    ['codec', (q: Json) => patched(q, { codec: 5 }), 'embed: its codec has no name'],
    ['shape', (q: Json) => patched(q, { shape: [6] }), 'embed: its shape is not two positive numbers'],
    ['parts', (q: Json) => patched(q, { parts: 'codes' }), 'embed: its parts are not named'],
    ['part', (q: Json) => patched(q, { parts: ['cods'] }), 'embed [6×10]: its part cods is missing'],
    ['inner', (q: Json) => patched(q, { inner: { codec: 'x' } }), 'embed: inner: its shape is not'],
    ['module', (q: Json) => ({ ...q, modules: { embed: 3 } }), 'embed: it is not described'],
  ])('by its module when its %s is wrong', async (_, change, message) => {
    await write()
    const path = join(dir, 'config.json')
    const { quantization_config } = JSON.parse(await readFile(path, 'utf8'))
    await writeFile(path, JSON.stringify({ quantization_config: change(quantization_config) }))
    const error = await failure(opened())
    expect(error).toMatchObject({ name: 'ReallmError', message: expect.stringContaining(message) })
  })
})

type Json = { readonly modules: Readonly<Record<string, object>> }
const patched = (q: Json, change: object) => ({
  ...q,
  modules: { ...q.modules, embed: { ...q.modules.embed, ...change } },
})

describe('an artifact behind HTTP', () => {
  const missed: string[] = []
  let server: Server
  let url: string
  beforeEach(async () => {
    await write(dir, false)
    missed.length = 0
    server = createServer(async (req, res) => {
      const body = await readFile(join(dir, req.url!)).catch(() => undefined)
      if (!body) {
        missed.push(req.url!)
        return void res.writeHead(404).end()
      }
      const [from, last] = /(\d+)-(\d+)/.exec(req.headers.range!)!.slice(1).map(Number)
      const to = Math.min(last + 1, body.length)
      const headers = { 'content-range': `bytes ${from}-${to - 1}/${body.length}`, etag: '"1"' }
      res.writeHead(206, headers).end(body.subarray(from, to))
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  })
  afterEach(() => server.close())

  it('is refused when a block of it was altered, unless it shall not be looked at', async () => {
    const weights = await readFile(join(dir, 'model.safetensors'))
    weights[weights.length - 1] ^= 1
    await writeFile(join(dir, 'model.safetensors'), weights)
    await expect(openModel(url, { registry })).rejects.toMatchObject({
      code: 'integrity',
      message: expect.stringContaining('model.safetensors was altered'),
    })
    const unchecked = await openModel(url, { registry, verify: false })
    expect((await unchecked.read('embed.weight')).shape).toEqual([6, 10])
    await unchecked.close()
  })

  it('is asked only for files that it lists', async () => {
    const { files, close } = await openModel(url)
    await close()
    expect(files).toContain('config.json')
    expect(missed).toEqual([])
    await rm(join(dir, 'model.safetensors.index.json'))
    const options = { files: ['config.json', 'model.safetensors'] }
    await (await openModel(url, options)).close()
    expect(missed).toEqual([])
  })
})

describe('saveEncoded', () => {
  it('comes back with its tree', async () => {
    const path = join(dir, 'matrices', 'l.0.q_proj.safetensors')
    await saveEncoded(path, wrapped)
    expect(await readdir(join(dir, 'matrices'))).toEqual(['l.0.q_proj.safetensors'])
    expect(await loadEncoded(path)).toEqual(wrapped)
  })

  it('refuses other files', async () => {
    const path = join(dir, 'x.safetensors')
    await writeFile(path, encodeSafetensors({ bias }))
    await expect(loadEncoded(path)).rejects.toThrow('it holds no encoded matrix')
    await writeFile(path, encodeSafetensors({ bias }, { 'reallm.matrix': '{"codec":1}' }))
    await expect(loadEncoded(path)).rejects.toThrow('its codec has no name')
    await expect(loadEncoded(join(dir, 'none'))).rejects.toMatchObject({ code: 'not-found' })
  })
})
