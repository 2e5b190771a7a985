import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeToyModels } from '@reallm/testing'
import { workFolder } from '@reallm/testing/work-folder'
import { useBackend } from '@reallm/transformer'
import { beforeAll, expect, test, vi } from 'vitest'
import { type CompressOptions, compress } from '../../compress.ts'
import { aqlm } from './aqlm.ts'

vi.setConfig({ testTimeout: 240_000 })

const folder = workFolder()
const text = 'It is a way I have of driving off the spleen, and regulating the circulation. '.repeat(40)
let original: string
const options = {
  ...({ effort: 'fast', bits: 12, threads: 0, backend: 'wasm' } as const),
  calibration: join(folder, 'text.txt'),
}
const run = (name: string, more: Partial<CompressOptions>) =>
  compress(original, { ...options, recipe: 'aqlm', to: join(folder, name), ...more })
const weights = (name: string) => readFileSync(join(folder, name, 'model.safetensors'))

beforeAll(async () => {
  await useBackend('wasm')
  original = (await writeToyModels(folder)).original
  await writeFile(join(folder, 'text.txt'), text)
})

test('training the layers brings the model nearer to the original, in no more bytes', async () => {
  const plain = await run('untuned', { recipe: { ...aqlm, quantise: { kind: 'perMatrix' } } })
  const tuned = await run('tuned', {})
  expect(tuned.size.bytes).toBeLessThanOrEqual(plain.size.bytes)
  expect(tuned.quality!.compressed.kl).toBeLessThan(plain.quality!.compressed.kl!)
})

test('a run that was stopped behind a trained layer goes on, and ends in the same bytes', async () => {
  const stop = new AbortController()
  const stopped = run('stopped', {
    evaluate: false,
    signal: stop.signal,
    onProgress({ event, done }) {
      if (event === 'layer-end' && done === 1) stop.abort()
    },
  })
  await expect(stopped).rejects.toMatchObject({ code: 'aborted' })
  const layers: (number | undefined)[] = []
  await run('stopped', {
    ...{ evaluate: false, resume: true },
    onProgress: ({ event, done }) => void (event === 'layer-end' && layers.push(done)),
  })
  expect(layers).toEqual([2])
  expect(weights('stopped')).toEqual(weights('tuned'))
})
