import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compress } from '@reallm/pipeline'
import { charTokenizer, fixture } from '@reallm/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { killedCli } from '../test/killed-cli.ts'

let folder: string
const at = (...names: string[]) => join(folder, ...names)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reallm-killed-'))
  const quick = {
    recipe: 'rtn',
    bits: 5,
    effort: 'fast',
    evaluate: false,
    threads: 0,
    backend: 'wasm',
  } as const
  await cp(fixture('models/llama-gqa-tied'), at('model'), { recursive: true })
  await writeFile(at('model', 'tokenizer.json'), JSON.stringify(charTokenizer.files.tokenizer))
  await writeFile(at('model', 'tokenizer_config.json'), '{"eos_token": "<end>"}')
  await compress(at('model'), { ...quick, to: at('base') })
  await writeFile(at('data.txt'), 'the sea and the whale and the boat. '.repeat(60))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function finetune(kill: string, ...more: string[]) {
  const args = ['finetune', at('base'), '--data', at('data.txt'), '-o', at('out'), '--steps', '2']
  const sizes = ['--length', '16', '--rows', '1', '--rank', '2']
  const { code, signal, err } = await killedCli([...args, ...sizes, ...more], kill)
  return { end: signal ?? code, err }
}

const names = async () => (await readdir(folder)).filter(name => name.startsWith('out')).sort()

test('killed while it saves, writes or cleans up: no half of a model; --resume ends in the same bytes', {
  timeout: 240_000,
}, async () => {
  expect(await finetune('')).toMatchObject({ end: 0 })
  const model = await readFile(at('out', 'model.safetensors'))
  const files = (await readdir(at('out'))).sort()
  await rm(at('out'), { recursive: true })
  for (const [kill, before] of [
    ['work/checkpoint\\.safetensors$', ['out.work']],
    ['work/result/config\\.json$', ['out.work']],
    ['work\\.removed-\\w+$', ['out', expect.stringMatching(/removed/)]],
  ] as const) {
    expect((await finetune(kill)).end, kill).toBe('SIGKILL')
    expect(await names(), kill).toEqual(before)
    const resumed = await finetune('', '--resume')
    expect(resumed, kill).toMatchObject({ end: 0 })
    expect(await names(), kill).toEqual(['out'])
    expect((await readdir(at('out'))).sort()).toEqual(files)
    expect(await readFile(at('out', 'model.safetensors'))).toEqual(model)
    await rm(at('out'), { recursive: true })
  }
})

test('a second run is told who is at work', { timeout: 120_000 }, async () => {
  await cp(at('base'), at('other'), { recursive: true })
  const first = finetune('', '--steps', '100000')
  const deadline = Date.now() + 60_000
  while (!(await names()).includes('out.work') && Date.now() < deadline)
    await new Promise(r => setTimeout(r, 50))
  for (const more of [[], ['--resume']]) {
    const second = await finetune('', ...more)
    expect(second).toMatchObject({
      end: 1,
      err: expect.stringMatching(/is being written by process \d+ \(reallm finetune\)/),
    })
  }
  const lock = JSON.parse(await readFile(at('out.work', 'lock.1.json'), 'utf8')) as { process: number }
  process.kill(lock.process, 'SIGINT')
  expect(await first).toMatchObject({ end: 130 })
  expect(await readdir(at('out.work'))).not.toContain('lock.1.json')
})
