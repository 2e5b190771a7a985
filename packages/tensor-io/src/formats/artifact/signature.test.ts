import { generateKeyPairSync } from 'node:crypto'
import { appendFile, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { rowGrid } from '../../../test/toy-codecs.ts'
import { createRegistry } from '../../codec/registry.ts'
import { random } from '../../core/random.ts'
import { matrix } from '../../core/tensor.ts'
import { openFiles, openModel } from '../open/index.ts'
import { blobSource } from '../source/index.ts'
import { createArtifactWriter } from './index.ts'
import { signatureName, signDirectory } from './signature.ts'

const pair = () =>
  generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
const { privateKey, publicKey } = pair()
const registry = createRegistry([rowGrid], [])
const draws = random(1)
const w = matrix(
  Array.from({ length: 60 }, () => draws.normal()),
  [6, 10],
)

let signed: string
let dir: string
beforeAll(async () => {
  signed = await mkdtemp(join(tmpdir(), 'reallm-signed-'))
  const writer = await createArtifactWriter(signed, { config: { model_type: 'llama' } })
  await writer.addMatrix('a', await rowGrid.encode(w, { bits: 8 }, { seed: 1 }))
  const { files } = await writer.finish()
  await writeFile(join(signed, 'tokenizer.json'), '{"model":{}}')
  await signDirectory(signed, [...files, 'tokenizer.json'], privateKey)
})
afterAll(() => rm(signed, { recursive: true }))
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'reallm-copy-'))
  await cp(signed, dir, { recursive: true })
  return () => rm(dir, { recursive: true })
})

/** Opens the copy and reads all that is in it. */
async function readCopy(key = publicKey) {
  const model = await openModel(dir, { registry, publicKey: key })
  try {
    for (const name of model.files) await model.readFile(name)
    return { files: model.files, weights: await model.readFloat32('a.weight') }
  } finally {
    await model.close()
  }
}
const altered = (name: string) => ({ code: 'integrity', message: expect.stringContaining(name) })

describe('a signed model', () => {
  it('opens with the public key, in PEM or base64 alone', async () => {
    const { files, weights } = await readCopy()
    expect(files).toEqual(['config.json', 'tokenizer.json'])
    const plain = await openModel(dir, { registry })
    expect(weights).toEqual(await plain.readFloat32('a.weight'))
    await plain.close()
    await readCopy(publicKey.replace(/-----.*-----\n/g, ''))
  })

  it.each(['config.json', 'tokenizer.json', 'model.safetensors.index.json', 'model.safetensors'])(
    'is refused when %s was altered',
    async name => {
      const path = join(dir, name)
      const bytes = await readFile(path)
      bytes[bytes.length - 2] ^= 1
      await writeFile(path, bytes)
      await expect(readCopy()).rejects.toMatchObject(altered(name))
      await writeFile(path, await readFile(join(signed, name)))
      await readCopy()
      await appendFile(path, ' ')
      await expect(readCopy()).rejects.toMatchObject(altered(name))
      await rm(path)
      await expect(readCopy()).rejects.toMatchObject({ message: expect.stringContaining(name) })
    },
  )

  it('has no files that were not signed', async () => {
    await writeFile(join(dir, 'chat_template.jinja'), 'x')
    expect((await readCopy()).files).toEqual(['config.json', 'tokenizer.json'])
  })

  it('is refused with another key, and when its signature says something else', async () => {
    await expect(readCopy(pair().publicKey)).rejects.toMatchObject({ code: 'integrity' })
    const path = join(dir, signatureName)
    const text = await readFile(path, 'utf8')
    const changes = [
      text.replace('tokenizer.json', 'tokenizer.jsom'),
      text.replace(/"[0-9a-f]{64}"/, `"${'0'.repeat(64)}"`),
      text.replace(/"signature": "...../, '"signature": "AAAAA'),
      text.replace(/"signature": ".*"/, '"signature": 5'),
      '{}',
    ]
    for (const change of changes) {
      await writeFile(path, change)
      await expect(readCopy()).rejects.toMatchObject({ code: 'integrity' })
    }
    await rm(path)
    await expect(readCopy()).rejects.toThrow('it is not signed')
    await expect(readCopy('no key')).rejects.toMatchObject({ code: 'integrity' })
  })

  it('is compared with its signature where files were dropped on a page, too', async () => {
    const names = [
      'config.json',
      'model.safetensors',
      'model.safetensors.index.json',
      'tokenizer.json',
      signatureName,
    ]
    const sourceOf = async (name: string) => blobSource(name, new Blob([await readFile(join(dir, name))]))
    const files = await Promise.all(names.map(async name => ({ name, source: await sourceOf(name) })))
    const model = await openFiles(files, { registry, publicKey })
    await model.readFloat32('a.weight')
    await expect(openFiles(files.slice(0, 4), { publicKey })).rejects.toThrow('it is not signed')
  })
})

it('says which keys it takes', async () => {
  await expect(signDirectory(dir, ['config.json'], publicKey)).rejects.toMatchObject({
    code: 'bad-option',
    hint: expect.stringContaining('openssl genpkey'),
  })
  await expect(openModel(dir, { publicKey: 'no key' })).rejects.toMatchObject({
    code: 'bad-option',
    hint: expect.stringContaining('openssl pkey'),
  })
})
