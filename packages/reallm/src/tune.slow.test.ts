import { existsSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { builtInRegistry, type CompressReport } from '@reallm/pipeline'
import { load } from '@reallm/runtime'
import { type EncodedMatrix, openModel, readArtifact } from '@reallm/tensor-io'
import { charTokenizer, fixture } from '@reallm/testing'
import { forward, loadWeights, openWeights, tf, useBackend } from '@reallm/transformer'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { killedCli } from '../test/killed-cli.ts'

vi.setConfig({ testTimeout: 600_000 })

const steps = 60

let folder: string
const at = (...names: string[]) => join(folder, ...names)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reallm-tune-'))
  await cp(fixture('models/llama-gqa-tied'), at('model'), { recursive: true })
  await writeFile(at('model', 'tokenizer.json'), JSON.stringify(charTokenizer.files.tokenizer))
  await writeFile(at('model', 'tokenizer_config.json'), '{"eos_token": "<end>"}')
  const words = ['the sea', 'a whale', 'the boat', 'an old man', 'wind', 'and so', 'they say']
  const text = Array.from({ length: 900 }, (_, i) => words[((i * i + 3 * i) % 7) ^ (i % 3)] ?? 'then')
  await writeFile(at('text.txt'), text.join(' '))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function compressed(out: string, more: readonly string[], kill = '') {
  const fixed = ['-b', '4', '--effort', 'fast', '--threads', '0', '--backend', 'wasm', '--json']
  const args = ['compress', at('model'), '-o', at(out), '--calib', at('text.txt'), ...fixed, ...more]
  const ended = await killedCli(args, kill, { REALLM_CACHE: at('cache') })
  return { ...ended, report: ended.code === 0 ? (JSON.parse(ended.out) as CompressReport) : undefined }
}

const files = ['model.safetensors', 'config.json', 'model.safetensors.index.json', 'README.md']

test('trained after rounding: nearer to the original in the same size, in every reader, and the same bytes after kills', async () => {
  const tuning = ['--tune-steps', String(steps)]
  const whole = await compressed('whole/m', tuning)
  expect(whole).toMatchObject({ code: 0 })
  const { size, tuning: found, options, quality } = whole.report!
  expect(size.bitsPerWeight).toBeLessThanOrEqual(4)
  expect(size.bitsPerWeight).toBeGreaterThan(3.5)
  expect(options).toMatchObject({ tune: `${steps} steps` })
  expect(found).toMatchObject({ steps })
  expect(found!.after).toBeLessThan(0.98 * found!.before)
  expect(quality!.compressed.kl).toBeLessThan(2 * found!.before)

  for (const kill of [
    'tuned/training/teacher/.*safetensors$',
    'tuned/training/checkpoint.safetensors$',
    'tuned/model.safetensors$',
  ]) {
    const more = existsSync(`${at('killed', 'm')}.work`) ? ['--resume'] : []
    expect(await compressed('killed/m', [...tuning, ...more], kill), kill).toMatchObject({
      signal: 'SIGKILL',
    })
    expect(existsSync(at('killed', 'm'))).toBe(false)
  }
  const other = await compressed('killed/m', ['--tune-steps', '3', '--resume'])
  expect(other.err).toMatch(/tune was 60 steps .* and is 3 steps now/)
  expect(await compressed('killed/m', [...tuning, '--resume'])).toMatchObject({ code: 0 })
  for (const name of files)
    expect(await readFile(at('killed', 'm', name))).toEqual(await readFile(at('whole', 'm', name)))

  const registry = builtInRegistry()
  const opened = await openModel(at('whole', 'm'), { registry })
  const { modules, readEncoded } = readArtifact(opened)
  const codecs = new Map<string, EncodedMatrix>()
  for (const name of modules.keys()) codecs.set(name, await readEncoded(name))
  const scaled = [...codecs].filter(([, e]) => e.codec === 'row-scaled').map(([name]) => name)
  expect(scaled).toEqual([...modules.keys()].filter(name => name.includes('layers')))
  await opened.close()

  const ids = [5, 9, 2, 31, 7, 12]
  await useBackend('wasm')
  const weights = await openWeights(at('whole', 'm'), { registry })
  const loaded = await loadWeights(weights)
  const last = tf.tidy(() =>
    forward(weights.config, loaded, tf.tensor2d([ids], [1, ids.length], 'int32'))
      .reshape([ids.length, -1])
      .slice([ids.length - 1, 0])
      .dataSync(),
  )
  tf.dispose(loaded)
  await weights.close()
  const model = await load(at('whole', 'm'), { registry, weights: 'f32' })
  const logits = await model.session().feed(ids)
  expect(Math.hypot(...logits.map((v, i) => v - last[i])) / Math.hypot(...last)).toBeLessThan(1e-4)
})

test('minutes become steps once; what cannot be trained is refused before any work', async () => {
  const stopped = await compressed('minutes', ['--tune', '10'], 'tuned/steps.json$')
  expect(stopped).toMatchObject({ signal: 'SIGKILL' })
  const { steps } = JSON.parse(await readFile(`${at('minutes')}.work/tuned/steps.json`, 'utf8'))
  expect(steps).toBeGreaterThan(0)
  const refused: [string[], RegExp][] = [
    [['--tune', '1', '--target', 'gguf'], /target gguf has no place for what --tune trains/],
    [['--tune', '1', '--recipe', 'onebit'], /recipe onebit trains its matrices itself/],
    [['--tune', '1', '--tune-steps', '3'], /cannot be used with/],
  ]
  for (const [more, message] of refused) {
    const { code, err } = await compressed('refused', more)
    expect(code).not.toBe(0)
    expect(err).toMatch(message)
  }
})
