import { spawnSync } from 'node:child_process'
import { existsSync, openSync } from 'node:fs'
import { cp, mkdir, mkdtemp, open, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compress } from '@reallm/pipeline'
import { fixture } from '@reallm/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { reallm as runCommand } from '../test/cli.ts'

const model = fixture('models/llama-gqa-tied')
const lora = fixture('peft/lora')

let folder: string
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'reallm-outputs-'))))
afterEach(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]) => join(folder, ...names)
const reallm = (...args: string[]) => runCommand(args)

/** Names and contents of all files below. */
async function contents(root: string): Promise<Map<string, string>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  return new Map(await Promise.all(files.map(async file => [file, await readFile(file, 'latin1')] as const)))
}

/** A home directory with a model and other work in it, which no command may touch. */
async function home() {
  await cp(model, at('home', 'model'), { recursive: true })
  await cp(lora, at('home', 'lora'), { recursive: true })
  await writeFile(at('home', 'thesis.txt'), 'years of work')
  await writeFile(at('home', 'data.txt'), 'the sea and the whale. '.repeat(60))
  await symlink(at('home'), at('link'))
  return contents(folder)
}

test('convert refuses outputs that are or hold what is read, and files of others, with --force too', async () => {
  const before = await home()
  const refused = [
    ['-o', at('home', 'model'), /is the model that is read/],
    ['-o', at('home'), /holds the model that is read/],
    ['-o', at('link'), /holds the model that is read/],
    ['-o', at('home', 'model', 'model.safetensors'), /belongs to the model that is read/],
    ['-o', at('home', 'model', 'x.safetensors'), /config\.json belongs to the model/],
    ['-o', at('home', 'lora'), '--adapter', at('home', 'lora'), /is the adapter that is read/],
    ['-o', at('home', 'thesis.txt'), /is a file, not a directory/],
  ] as const
  for (const [...args] of refused) {
    const message = args.pop() as RegExp
    const result = await reallm('convert', at('home', 'model'), ...(args as string[]), '--force')
    expect(result).toMatchObject({ code: 1, err: expect.stringMatching(message) })
  }
  await writeFile(at('mine.gguf'), 'mine')
  for (const to of ['home', 'mine.gguf']) {
    const result = await reallm('convert', model, '-o', at(to), '--force')
    expect(result).toMatchObject({ code: 1, err: expect.stringMatching(/did not write: .*(data|mine)/) })
  }
  await rm(at('mine.gguf'))
  expect(await contents(folder)).toEqual(before)
})

test('compress refuses them too, and its calibration text; nothing of an unfinished run is lost', async () => {
  const before = await home()
  const quick = ['-b', '6', '--effort', 'fast', '--no-eval', '--force']
  for (const [to, message] of [
    [at('home', 'model'), /is the model that is read/],
    [at('link'), /holds the model that is read/],
    [at('home'), /holds the (model|calibration) that is read/],
  ] as const) {
    const args = ['compress', at('home', 'model'), '-o', to, '--calib', at('home', 'data.txt'), ...quick]
    expect(await reallm(...args)).toMatchObject({ code: 1, err: expect.stringMatching(message) })
  }
  const other = ['compress', model, '-o', at('home'), '--calib', at('home', 'data.txt'), ...quick]
  expect(await reallm(...other)).toMatchObject({
    code: 1,
    err: expect.stringMatching(/holds the calibration/),
  })
  expect(await contents(folder)).toEqual(before)

  await mkdir(at('out.work'))
  await writeFile(at('out.work', 'checkpoint.safetensors'), 'hours of training')
  for (const more of [[], ['--resume']]) {
    const refused = await reallm('compress', model, '-o', at('out'), ...quick, ...more)
    expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(/no run that can be continued/) })
  }
  expect(await readFile(at('out.work', 'checkpoint.safetensors'), 'utf8')).toBe('hours of training')
})

test('a model that changes while it is compressed is no result, nor is the work on it', async () => {
  await cp(model, at('model'), { recursive: true })
  const weights = at('model', 'model.safetensors')
  let matrices = 0
  const damage = async () => {
    const file = await open(weights, 'r+')
    const { size } = await file.stat()
    await file.write(new Uint8Array(1000), 0, 1000, size - 5000)
    await file.close()
  }
  let damaged: Promise<void> | undefined
  const compressing = compress(at('model'), {
    ...{ to: at('out'), bits: 6, effort: 'fast', evaluate: false, threads: 0, backend: 'wasm' },
    onProgress({ event }) {
      if (event === 'matrix-end' && ++matrices === 2) damaged = damage()
    },
  })
  await expect(compressing).rejects.toMatchObject({
    code: 'integrity',
    message: expect.stringMatching(/has changed/),
  })
  await damaged
  expect(await readdir(folder)).toEqual(['model'])
})

test('convert replaces its own output with --force alone, and what is beside a file stays', async () => {
  await mkdir(at('models'))
  await writeFile(at('models', 'other.gguf'), 'other')
  for (const to of [at('models', 'm.gguf'), at('models', 'hf'), at('alone', 'm.safetensors')]) {
    expect(await reallm('convert', model, '-o', to)).toMatchObject({ code: 0 })
    expect(await reallm('convert', model, '-o', to)).toMatchObject({
      code: 1,
      err: expect.stringMatching(/--force/),
    })
    expect(await reallm('convert', model, '-o', to, '--force', '--dtype', 'f32')).toMatchObject({ code: 0 })
    expect(await reallm('inspect', to, '--json')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/"F32"/),
    })
  }
  expect((await readdir(at('models'))).filter(name => !name.startsWith('.')).sort()).toEqual([
    'hf',
    'm.gguf',
    'other.gguf',
  ])
  expect(await readFile(at('models', 'other.gguf'), 'utf8')).toBe('other')
})

test('plan draws into no file that is read or that others wrote, and again into its own', async () => {
  await cp(model, at('model'), { recursive: true })
  await writeFile(at('notes.svg'), 'mine')
  const plan = (svg: string) =>
    reallm('plan', at('model'), '--recipe', 'rtn', '--effort', 'fast', '--svg', svg)
  expect(await plan(at('model', 'config.json'))).toMatchObject({
    code: 1,
    err: expect.stringMatching(/config\.json belongs to the model/),
  })
  expect(await plan(at('notes.svg'))).toMatchObject({
    code: 1,
    err: expect.stringMatching(/did not write: notes/),
  })
  for (let i = 0; i < 2; i++) expect(await plan(at('plot.svg'))).toMatchObject({ code: 0 })
  expect(await readFile(at('plot.svg'), 'utf8')).toMatch(/^<svg/)
  expect(await readFile(at('notes.svg'), 'utf8')).toBe('mine')
})

test('commands are told of a place that cannot be written before they work', async () => {
  await writeFile(at('file'), '')
  expect(await reallm('convert', model, '-o', at('file', 'out'))).toMatchObject({
    code: 1,
    err: expect.stringMatching(/cannot be (made|written)/),
  })
  expect(await reallm('convert', model, '-o', '/proc/out')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/\/proc.* cannot be written: .*\n {2}hint: choose another output/),
  })
})

test.skipIf(!existsSync('/dev/full'))('a result that is lost on a full disk is no success', () => {
  const cli = fileURLToPath(new URL('./cli.ts', import.meta.url))
  const args = ['--import', 'tsx', '--conditions=@reallm/source', cli, 'recipes']
  const { status, stderr } = spawnSync(process.execPath, args, {
    stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
    encoding: 'utf8',
  })
  expect(stderr).toContain('the output cannot be written')
  expect(status).toBe(1)
})
