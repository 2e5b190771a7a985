import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeToyModels } from '@reallm/testing'
import {
  forward,
  loadAdapter,
  loadWeights,
  type ModelWeights,
  readAdapter,
  tf,
  useBackend,
} from '@reallm/transformer'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { openToy, toyRegistry, toyStore } from '../test/toy-store.ts'
import { type FinetuneOptions, finetuneArtifact } from './finetune.ts'
import { saveTuned } from './result.ts'

vi.setConfig({ testTimeout: 240_000 })

let folder: string
let model: ModelWeights
let teacher: ModelWeights
const contents = 'It is a way I have of driving off the spleen and regulating the circulation. '.repeat(12)

beforeAll(async () => {
  await useBackend('wasm')
  folder = mkdtempSync(join(tmpdir(), 'reallm-finetune-'))
  const { original, artifact } = await writeToyModels(folder)
  teacher = await openToy(original)
  model = await openToy(artifact)
})

afterAll(() => Promise.all([model.close(), teacher.close()]))

const options = (): FinetuneOptions => ({
  ...{ model, data: { name: 'text', contents }, rank: 4, steps: 20, length: 24, learningRate: 0.02, seed: 3 },
})
const replace = () => ({ registry: toyRegistry, store: toyStore })

/** Loss of a short text under a model, with nothing but its weights. */
async function logitsOf(opened: ModelWeights, hooks = {}): Promise<Float32Array> {
  const weights = await loadWeights(opened)
  const ids = (await opened.tokenizer()).encode('driving off the spleen')
  const logits = tf.tidy(() => forward(opened.config, weights, tf.tensor2d([ids], undefined, 'int32'), hooks))
  const values = Float32Array.from(logits.dataSync())
  tf.dispose([logits, weights])
  return values
}

test('an adapter learns the text, is saved as PEFT does, and works when loaded', async () => {
  const before = tf.memory().numTensors
  const result = await finetuneArtifact({ ...options(), dora: true })
  expect(tf.memory().numTensors).toBe(before)
  expect(result.after!).toBeLessThan(0.75 * result.before!)
  await result.adapter!.save(join(folder, 'adapter'))

  const weights = await loadWeights(model)
  const loaded = loadAdapter(await readAdapter(join(folder, 'adapter')), weights)
  const [plain, tuned] = [await logitsOf(model), await logitsOf(model, loaded.hooks)]
  tf.dispose(weights)
  loaded.dispose()
  expect(Math.max(...tuned.map((v, i) => Math.abs(v - plain[i])))).toBeGreaterThan(1)
  await saveTuned(join(folder, 'dora'), result.tuned, { model, store: toyStore })
  const merged = await openToy(join(folder, 'dora'))
  const same = await logitsOf(merged)
  await merged.close()
  for (const [i, v] of same.entries()) expect(Math.abs(v - tuned[i])).toBeLessThan(0.05)
})

test('block by block, then distilled: closer to the original at every stage, and saved into the artifact', async () => {
  const shared = { ...options(), teacher, topK: 16, rowScales: true, norms: true, replace: replace() }
  const blockwise = { steps: 20, learningRate: 0.01 }
  const events: string[] = []
  const onProgress = ({ event }: { event: string }) => events.push(event)
  const result = await finetuneArtifact({ ...shared, steps: 20, learningRate: 0.005, blockwise, onProgress })
  for (const { before, after } of result.blocks) expect(after).toBeLessThan(before)
  expect(result.after!).toBeLessThan(result.before!)
  expect(result.adapter).toBeUndefined()
  expect(new Set(events)).toEqual(
    new Set(['data-read', 'block-end', 'teacher-end', 'step-end', 'validation-end']),
  )

  const plain = await finetuneArtifact({ ...shared, steps: 0 })
  expect(result.before!).toBeLessThan(plain.before!)
  await saveTuned(join(folder, 'tuned'), result.tuned, { model, store: toyStore })
  const saved = await openToy(join(folder, 'tuned'))
  const again = await finetuneArtifact({ ...shared, model: saved, steps: 0 })
  expect(again.before!).toBeCloseTo(result.after!, 3)
  await saved.close()
})

test('a stopped run goes on from its work directory and ends as if it had not been stopped', async () => {
  // activations go to disk
  const shared = { ...options(), teacher, blockwise: { steps: 6, maxMemory: 0 }, steps: 12 }
  const straight = await finetuneArtifact({ ...shared, blockwise: { steps: 6 } })
  const work = join(folder, 'work')
  for (const event of ['block-end', 'step-end']) {
    const stop = new AbortController()
    let seen = 0
    const onProgress = (e: { event: string }) => e.event === event && ++seen === 1 && stop.abort()
    await expect(
      finetuneArtifact({ ...shared, work, signal: stop.signal, onProgress }),
    ).rejects.toMatchObject({
      code: 'aborted',
    })
  }
  const events: string[] = []
  const resumed = await finetuneArtifact({ ...shared, work, onProgress: e => events.push(e.event) })
  expect(events).not.toContain('teacher-end')
  expect(events.filter(e => e === 'step-end')).toHaveLength(11)
  expect(resumed.blocks).toEqual(straight.blocks)
  expect([...resumed.tuned.modules]).toEqual([...straight.tuned.modules])
  await expect(finetuneArtifact({ ...shared, work, rank: 2 })).rejects.toMatchObject({
    code: 'changed-option',
  })
})

test('a teacher that does not fit, or none for block-wise tuning, is refused', async () => {
  await expect(finetuneArtifact({ ...options(), blockwise: true })).rejects.toThrow(
    /needs the original model/,
  )
  const other = { ...teacher, config: { ...teacher.config, vocabSize: 5 } }
  await expect(finetuneArtifact({ ...options(), teacher: other })).rejects.toThrow(
    /vocabSize is 5, the model's 97/,
  )
})
