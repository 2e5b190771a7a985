import { execFileSync, spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { load } from '@reallm/runtime'
import { createArtifactWriter } from '@reallm/tensor-io'
import { openWeights } from '@reallm/tensor-io/models'
import { grid } from '@reallm/vq'
import sirv from 'sirv'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { reallm } from '../test/cli.ts'
import { pack } from './pack.ts'

const prompt = 'The whale'
const name = '@you/tiny-4'
let folder: string
let artifact: string

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'reallm-pack-')))
  artifact = join(folder, 'out')
  const model = await openWeights('npm:@reallm/tiny')
  const writer = await createArtifactWriter(artifact, { config: model.files.config, filesOf: model.files })
  for (const [tensor, [rows, cols]] of model.shapes) {
    const stored = await model.read(tensor)
    if (cols === undefined) await writer.addTensor(tensor, stored)
    else {
      const w = { rows, cols, data: stored.data }
      const codes = await grid.encode(w, { bits: 4, group: 'row', clip: 'absmax' }, { seed: 1 })
      await writer.addMatrix(tensor.replace(/\.weight$/, ''), codes)
    }
  }
  await writer.finish()
  await model.close()
  await writeFile(join(artifact, 'README.md'), '---\nlicense: cc0-1.0\n---\n\n# Tiny on four bits\n')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const npm = (cwd: string, ...args: string[]) => {
  const run = spawnSync('npm', [...args, '--offline', '--no-audit', '--no-fund'], { cwd, encoding: 'utf8' })
  expect(run.status, run.stderr).toBe(0)
}

const textOf = async (...where: Parameters<typeof load>) => {
  const model = await load(...where)
  const text = await model.generate(prompt, { maxTokens: 8 }).text()
  model.dispose()
  return text
}

test('npm packs and installs it, Node loads it from node_modules and a page from behind a base URL', async () => {
  const to = join(folder, 'package')
  const packed = await pack(artifact, { name, to, version: '1.2.0' })
  expect(packed).toMatchObject({ name, version: '1.2.0', license: 'CC0-1.0' })
  const manifest = JSON.parse(await readFile(join(to, 'package.json'), 'utf8'))
  expect(manifest).toMatchObject({ license: 'CC0-1.0', description: 'Tiny on four bits: weights for ReALLM' })
  const readme = await readFile(join(to, 'README.md'), 'utf8')
  expect(readme).toMatch(/^---\nlicense.*# Tiny on four bits.*load\('npm:@you\/tiny-4'\)/s)

  const site = join(folder, 'site')
  await mkdir(site)
  await writeFile(join(site, 'package.json'), '{"private":true}')
  npm(folder, 'pack', to)
  npm(site, 'install', join(folder, 'you-tiny-4-1.2.0.tgz'))
  const installed = await readdir(join(site, 'node_modules', name))
  expect(installed.sort()).toEqual([...manifest.files, 'package.json'].sort())

  const before = process.cwd()
  process.chdir(site)
  const inNode = await textOf(`npm:${name}`).finally(() => process.chdir(before))
  expect(inNode).toBe(await textOf(artifact))
  const server = createServer(sirv(site))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = server.address() as AddressInfo
    expect(await textOf(`npm:${name}`, { base: `http://127.0.0.1:${port}/node_modules` })).toBe(inNode)
  } finally {
    server.close()
    server.closeAllConnections()
  }
})

test('cuts weight files for hosts that refuse large ones', async () => {
  const to = join(folder, 'cut')
  const { files } = await pack(artifact, { name, to, maxFileBytes: 1e6 })
  const parts = files.filter(file => file.startsWith('model-part-'))
  expect(parts.length).toBeGreaterThan(1)
  expect(files).not.toContain('model.safetensors')
  for (const file of await readdir(to)) expect((await stat(join(to, file))).size, file).toBeLessThan(1.1e6)
  expect(await textOf(to)).toBe(await textOf(artifact))
  const again = join(folder, 'cut-again')
  expect((await pack(to, { name, to: again, maxFileBytes: 1e6 })).files).toEqual(files)
  await truncate(join(to, parts[0]), 10)
  await expect(textOf(to)).rejects.toThrow(`its part ${parts[0]} has 10 bytes instead of 1000000`)
})

test('leaves out the adapter beside a fine-tuned artifact, which is in its weights', async () => {
  const tuned = join(folder, 'tuned')
  await cp(artifact, tuned, { recursive: true })
  await writeFile(join(tuned, 'adapter_config.json'), '{}')
  await writeFile(join(tuned, 'adapter_model.safetensors'), '')
  const { files } = await pack(tuned, { name, to: join(folder, 'tuned-npm') })
  expect(files.filter(file => file.startsWith('adapter'))).toEqual([])
})

test('signs a package for whoever has the public key', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const [to, key, publicFile] = ['signed', 'key.pem', 'key.pub.pem'].map(file => join(folder, file))
  await writeFile(key, privateKey)
  await writeFile(publicFile, publicKey)
  expect(await reallm(['pack', artifact, '--name', name, '-o', to, '--sign', key])).toMatchObject({ code: 0 })
  const manifest = JSON.parse(await readFile(join(to, 'package.json'), 'utf8'))
  expect(manifest.files).toContain('reallm-signature.json')
  const generate = ['generate', to, '-p', prompt, '-n', '8', '--public-key', publicFile]
  expect(await reallm(generate)).toMatchObject({ code: 0, out: `${await textOf(artifact)}\n` })
  expect(await textOf(to, { publicKey })).toBe(await textOf(artifact))
  expect(await reallm(['inspect', artifact, '--public-key', publicFile])).toMatchObject({
    code: 1,
    err: expect.stringContaining('it is not signed'),
  })
  for (const file of ['generation_config.json', 'tokenizer_config.json']) {
    const before = await readFile(join(to, file))
    await writeFile(join(to, file), '{}')
    expect(await reallm(generate)).toMatchObject({
      code: 1,
      err: expect.stringContaining(`${file} was altered`),
    })
    await writeFile(join(to, file), before)
  }
})

test('takes files alone', async () => {
  const odd = join(folder, 'odd')
  await cp(artifact, odd, { recursive: true })
  await symlink(folder, join(odd, 'elsewhere'))
  execFileSync('mkfifo', [join(odd, 'endless.txt')])
  const { files } = await pack(odd, { name, to: join(folder, 'of-odd') })
  expect(files).not.toContain('endless.txt')
  expect(files).not.toContain('elsewhere')
})

test('packing a package again says the usage once', async () => {
  const again = join(folder, 'again')
  await pack(artifact, { name, to: again })
  await expect(pack(again, { name: '@you/other', to: again, force: true })).rejects.toThrow(
    'is the artifact that is read',
  )
  const other = join(folder, 'other')
  for (let i = 0; i < 2; i++)
    await pack(again, { name: '@you/other', to: other, license: 'MIT', force: true })
  const readme = await readFile(join(other, 'README.md'), 'utf8')
  expect(readme.match(/## From npm/g)).toHaveLength(1)
  expect(readme).toContain('npm:@you/other')
})

test('refuses in one sentence, and leaves nothing behind', async () => {
  const to = join(folder, 'nothing')
  const full = join(folder, 'full')
  await mkdir(full)
  await writeFile(join(full, 'x'), '')
  for (const bad of ['You/model', '@you/', '.hidden', '_x', 'fs', '@you/a b', `@you/${'x'.repeat(214)}`]) {
    await expect(pack(artifact, { name: bad, to })).rejects.toThrow('npm takes no package of that name')
  }
  await expect(pack(artifact, { name, to, version: 'one' })).rejects.toThrow('that is no version')
  await expect(pack(artifact, { name, to, maxFileBytes: 1 })).rejects.toThrow('would be cut into')
  await expect(pack(artifact, { name, to: full })).rejects.toThrow('is not empty')
  await expect(pack(full, { name, to })).rejects.toMatchObject({ code: 'not-found' })
  const plain = new URL('../../tiny/model', import.meta.url).pathname
  await expect(pack(plain, { name, to })).rejects.toThrow('it is no compressed model')
  expect((await readdir(folder)).filter(file => /nothing|\.work/.test(file))).toEqual([])

  await truncate(join(artifact, 'model.safetensors'), 100_000)
  await expect(pack(artifact, { name, to })).rejects.toMatchObject({ name: 'ReallmError' })
})
