import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { finetuneArtifact } from '@reallm/finetune'
import { builtInRegistry, compress } from '@reallm/pipeline'
import { load } from '@reallm/runtime'
import {
  forward,
  loadAdapter,
  loadWeights,
  openWeights,
  readAdapter,
  tf,
  useBackend,
} from '@reallm/transformer'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { reallm } from '../test/cli.ts'
import type { Io } from './io.ts'
import { load as loadToTalk } from './load.ts'
import { run } from './run.ts'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })

const original = fileURLToPath(new URL('../../tiny/model', import.meta.url))
const registry = builtInRegistry()
let folder: string
let base: string
let data: string

beforeAll(async () => {
  await useBackend('wasm')
  folder = await mkdtemp(join(tmpdir(), 'reallm-finetune-'))
  base = join(folder, 'base')
  data = join(folder, 'sums.jsonl')
  const shared = { recipe: 'rtn', bits: 4.5, effort: 'fast', evaluate: false, threads: 0 } as const
  await compress(original, { ...shared, to: base, backend: 'wasm' })
  const sums = Array.from({ length: 60 }, (_, i) => ({ prompt: `${i} + 1 =`, completion: ` ${i + 1}` }))
  await writeFile(data, sums.map(sum => JSON.stringify(sum)).join('\n'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Runs `reallm finetune base …`, and presses Ctrl-C as soon as stderr matches. */
async function finetune(args: readonly string[], stopAt?: RegExp) {
  const stop = new AbortController()
  let [out, err] = ['', '']
  const io: Io = {
    out: text => void (out += text),
    err(text) {
      err += text
      if (stopAt?.test(text)) stop.abort()
    },
    stdin: async () => '',
    async *lines() {},
    isTty: false,
    signal: stop.signal,
    verbose: false,
  }
  const code = await run(['finetune', base, '--data', data, '--length', '24', '--rows', '1', ...args], io)
  return { code, out, err }
}

test('block by block and end to end, stopped by Ctrl-C: --resume ends in the bytes of a run that was not', async () => {
  const plan = ['--kd', original, '--blockwise', '--block-steps', '2', '--steps', '12', '--rank', '2']
  const whole = join(folder, 'whole')
  const stopped = join(folder, 'stopped')
  const straight = await finetune([...plan, '-o', whole])
  expect(straight).toMatchObject({ code: 0, out: expect.stringMatching(/12 steps, divergence .* → /) })
  const card = await readFile(join(whole, 'README.md'), 'utf8')
  expect(card).toMatch(/^base_model: base\nlicense: cc0-1\.0$/m)
  expect(card).toMatch(/`sums\.jsonl` in 12 steps: low-rank parts of rank 2, stored in\n8 bits an entry\./)
  expect(card).toMatch(/In all: [\d.]+ [kM]B, \d+\.\d\d bits per weight\./)

  const first = await finetune([...plan, '-o', stopped], /^step 10:/)
  expect(first).toMatchObject({ code: 130, err: expect.stringMatching(/stopped.*\n {2}hint: .*--resume/) })
  await expect(stat(stopped)).rejects.toThrow(/ENOENT/)
  expect(await finetune([...plan, '-o', stopped])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/unfinished run/),
  })
  const changed = [...plan.slice(0, -1), '3', '-o', stopped, '--resume']
  expect(await finetune(changed)).toMatchObject({
    code: 1,
    err: expect.stringMatching(/plan = {"rank":2.*it is {"rank":3/),
  })
  const resumed = await finetune([...plan, '-o', stopped, '--resume', '--json', '--quiet'])
  expect(resumed.code, resumed.err).toBe(0)
  expect(resumed.err).not.toMatch(/^step/m)
  const { steps, history, blocks } = JSON.parse(resumed.out)
  expect([steps, history.length, blocks.length]).toEqual([12, 2, 6])
  const [a, b] = [stopped, whole].map(directory => readFile(join(directory, 'model.safetensors')))
  expect(await a).toEqual(await b)
  await expect(stat(`${stopped}.work`)).rejects.toThrow(/ENOENT/)
})

test('adapters with a rank for each matrix, rsLoRA and DoRA, take turns on one compressed base', async () => {
  const model = await openWeights(base, { registry })
  const plans = {
    mixed: { rank: (name: string) => (name.endsWith('_proj') ? (name.includes('mlp') ? 6 : 2) : 0) },
    rank: { rank: 4, alpha: 8, rsLora: true },
    dora: { rank: 2, dora: true },
  }
  for (const [name, plan] of Object.entries(plans)) {
    const settings = { model, data, length: 24, rows: 1, steps: 6, learningRate: 0.01 }
    const { adapter } = await finetuneArtifact({ ...settings, ...plan })
    await adapter!.save(join(folder, name))
  }
  const weights = await loadWeights(model)
  const ids = (await model.tokenizer()).encode('7 + 1 =')
  const logitsOf = (hooks = {}) =>
    tf.tidy(() =>
      forward(model.config, weights, tf.tensor2d([ids], undefined, 'int32'), hooks)
        .slice([0, ids.length - 1, 0], [1, 1, -1])
        .dataSync(),
    )
  const runs = await load(base, { registry, weights: 'f32' })
  const far = (a: ArrayLike<number>, b: ArrayLike<number>) =>
    Array.from(a).reduce((most, v, i) => Math.max(most, Math.abs(v - b[i])), 0)
  const now = async () => {
    const session = runs.session()
    const logits = await session.logits(ids)
    const last = logits.slice(-model.config.vocabSize)
    session.dispose()
    return last
  }
  const plain = await now()
  expect(far(plain, logitsOf())).toBeLessThan(0.02)
  for (const name of [...Object.keys(plans), 'mixed']) {
    const loaded = loadAdapter(await readAdapter(join(folder, name)), weights)
    await runs.useAdapter(join(folder, name))
    const logits = await now()
    expect(far(logits, logitsOf(loaded.hooks)), name).toBeLessThan(0.02)
    expect(far(logits, plain), name).toBeGreaterThan(0.2)
    loaded.dispose()
  }
  await runs.useAdapter(undefined)
  expect(await now()).toEqual(plain)
  runs.dispose()
  tf.dispose(weights)
  await model.close()

  const talks = await loadToTalk(base)
  const answer = async () => {
    let text = ''
    for await (const part of talks.generate('7 + 1 =', { maxTokens: 8, temperature: 0 })) text += part
    return text
  }
  const before = await answer()
  await talks.useAdapter(join(folder, 'rank'))
  expect(await answer()).not.toBe(before)
  await talks.useAdapter(undefined)
  expect(await answer()).toBe(before)
  talks.dispose()
})

test('an adapter of a model that is not compressed has a card, with its licence, loss and command', async () => {
  const to = join(folder, 'adapter')
  const settings = ['--length', '24', '--rows', '1', '--steps', '2', '--rank', '2', '-o', to]
  expect(await reallm(['finetune', 'npm:@reallm/tiny', '--data', data, ...settings])).toMatchObject({
    code: 0,
  })
  const card = await readFile(join(to, 'README.md'), 'utf8')
  expect(card).toMatch(/^library_name: peft\nbase_model: npm:@reallm\/tiny\nlicense: cc0-1\.0$/m)
  expect(card).toMatch(
    /in 2 steps: an adapter of rank 2 .* Loss on the part kept from training: \d\.\d+ → \d\.\d+ nats/,
  )
  expect(card).toMatch(/^npx reallm generate npm:@reallm\/tiny --adapter \. -p /m)
})

test('an output that is or holds what is read is refused; the artifact and all else stay', async () => {
  const home = join(folder, 'home')
  await cp(base, join(home, 'base'), { recursive: true })
  for (const [more, message] of [
    [['-o', base], /is the model that is read/],
    [['-o', folder], /holds the model that is read/],
    [['-o', home], /did not write: base/],
    [['-o', home, '--kd', join(home, 'base')], /holds the teacher that is read/],
    [['-o', '/proc/tuned'], /cannot be written/],
  ] as const) {
    const refused = await finetune([...more, '--steps', '1', '--force'])
    expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(message) })
  }
  const names = ['config.json', 'model.safetensors']
  expect(await readdir(base)).toEqual(expect.arrayContaining(names))
  expect(await readdir(join(home, 'base'))).toEqual(expect.arrayContaining(names))
})

test('prompts that fill the window are named; training that diverges says what helps', async () => {
  const long = join(folder, 'long.jsonl')
  const rows = Array.from({ length: 8 }, (_, i) => ({
    prompt: `question ${i} `.repeat(30),
    completion: 'yes',
  }))
  await writeFile(long, rows.map(row => JSON.stringify(row)).join('\n'))
  const shortened = await finetune(['--data', long, '--steps', '1', '-o', join(folder, 'long')])
  expect(shortened).toMatchObject({
    code: 0,
    err: expect.stringMatching(/8 of 8 prompts lose their beginnings; the first is of .*long\.jsonl, line 1/),
  })

  await writeFile(long, JSON.stringify(rows[0]))
  const short = ['--data', long, '--length', '400', '--steps', '1', '-o', join(folder, 'short')]
  expect(await finetune(short)).toMatchObject({
    code: 1,
    err: expect.stringMatching(/hint: .*--validation 0/),
  })
  expect(await finetune([...short, '--validation', '0'])).toMatchObject({ code: 0 })
})
