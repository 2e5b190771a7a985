import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { decodeCheckpoint, fileStore, memoryStore } from '@reallm/tensor-io'
import { tf, useBackend } from '@reallm/transformer'
import { beforeAll, expect, test, vi } from 'vitest'
import { toyRun, toyStream, valuesOf } from '../test/toy.ts'
import { sequencesOf, shuffled } from './batches.ts'
import { type TrainOptions, train } from './train.ts'

vi.setConfig({ testTimeout: 240_000 })

beforeAll(async () => {
  await useBackend('wasm')
})

/** Runs, and hands back the trained values. */
async function weightsAfter(changes: Partial<TrainOptions> = {}): Promise<number[][]> {
  const run = toyRun()
  try {
    await train({ ...run, ...changes })
    return valuesOf(run.parameters)
  } finally {
    tf.dispose([...run.parameters.values()])
  }
}

test('the loss falls, and no tensor is left behind', async () => {
  const before = tf.memory().numTensors
  const run = toyRun()
  const { history } = await train({ ...run, steps: 60 })
  tf.dispose([...run.parameters.values()])
  expect(history[0].loss).toBeGreaterThan(3)
  expect(history.at(-1)!.loss).toBeLessThan(1.6)
  expect(tf.memory().numTensors).toBe(before)
})

test('memory stays flat over 1,000 steps', async () => {
  const seen: { tensors: number; bytes: number; resident: number }[] = []
  await weightsAfter({
    ...{ steps: 1000, accumulate: 1, batches: shuffled(sequencesOf(toyStream(), 6), { rows: 1, seed: 5 }) },
    onProgress() {
      const { numTensors: tensors, numBytes: bytes } = tf.memory()
      seen.push({ tensors, bytes, resident: process.memoryUsage.rss() })
    },
  })
  expect(seen).toHaveLength(1000)
  expect(new Set(seen.map(({ tensors, bytes }) => `${tensors} ${bytes}`)).size).toBe(1)
  // What a collector keeps for later comes and goes, the least does not; a leak of one batch's logits per step would
  // be 47 MB from the one span of steps to the other.
  const least = (from: number, to: number) => Math.min(...seen.slice(from, to).map(s => s.resident))
  expect(least(800, 1000) - least(200, 400)).toBeLessThan(40e6)
})

test('one seed and backend give one result', async () => {
  expect(await weightsAfter()).toEqual(await weightsAfter())
})

test('a run killed with SIGKILL ends, resumed, in the weights of an uninterrupted one', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'reallm-train-'))
  const path = join(folder, 'checkpoint.safetensors')
  const script = fileURLToPath(new URL('../test/killed.ts', import.meta.url))
  const killed = spawnSync(process.execPath, ['--conditions=@reallm/source', '--import', 'tsx', script, path])
  expect(killed.signal, String(killed.stderr)).toBe('SIGKILL')
  expect(readdirSync(folder)).toEqual(['checkpoint.safetensors'])

  const steps: number[] = []
  const checkpoint = fileStore(path)
  const resumed = await weightsAfter({ checkpoint, onProgress: ({ done }) => steps.push(done) })
  expect(steps[0]).toBe(7)
  expect(resumed).toEqual(await weightsAfter())
})

test('stopping saves; resuming goes on; a changed option is refused by name', async () => {
  const checkpoint = memoryStore()
  const stop = new AbortController()
  const onProgress = ({ done }: { done: number }) => done === 5 && stop.abort()
  const stopped = weightsAfter({ checkpoint, signal: stop.signal, onProgress })
  await expect(stopped).rejects.toMatchObject({ code: 'aborted' })
  await expect(weightsAfter({ checkpoint, learningRate: 0.1 })).rejects.toThrow(
    'the checkpoint was made with learningRate = 0.02, now it is 0.1',
  )
  expect(await weightsAfter({ checkpoint })).toEqual(await weightsAfter())
})

test('early stopping ends the run and puts the best weights back', async () => {
  const run = toyRun()
  const losses = [3, 2, 2.5, 2.6, 1]
  let best: number[][] = []
  let asked = 0
  const { validation, history } = await train({
    ...run,
    patience: 2,
    validateEvery: 2,
    validate: async () => {
      if (losses[asked] === 2) best = valuesOf(run.parameters)
      return losses[asked++]
    },
  })
  expect([validation, history.length, asked]).toEqual([2, 8, 4])
  expect(valuesOf(run.parameters)).toEqual(best)
  tf.dispose([...run.parameters.values()])
})

/** A store that notes the steps it is given. */
function notingStore() {
  const store = memoryStore()
  const steps: number[] = []
  const save: typeof store.save = async bytes => {
    steps.push((await decodeCheckpoint(bytes)).step)
    await store.save(bytes)
  }
  return { steps, load: store.load, save }
}

test('the state is saved before the first update, by time, and at the end', async () => {
  const [seldom, often] = [notingStore(), notingStore()]
  await weightsAfter({ checkpoint: seldom, checkpointSeconds: Number.POSITIVE_INFINITY })
  await weightsAfter({ checkpoint: often, checkpointSeconds: 0 })
  expect(seldom.steps).toEqual([0, 12])
  expect(often.steps).toEqual(Array.from({ length: 13 }, (_, i) => i))
})

test.each([
  ['loss', 1e38, /^the loss of step \d+ is /],
  ['weight', Number.POSITIVE_INFINITY, /is not finite|^the (loss|gradient) of step 2 is/],
])(
  'a %s that is no longer finite stops the run at once; the last good state is kept',
  async (_, rate, message) => {
    const checkpoint = notingStore()
    const run = weightsAfter({ checkpoint, checkpointSeconds: 0, learningRate: rate })
    await expect(run).rejects.toMatchObject({
      code: 'numeric',
      message: expect.stringMatching(message),
      hint: expect.stringMatching(/lower learning rate.*the checkpoint of step 0 is kept/),
    })
    const kept = await decodeCheckpoint((await checkpoint.load())!)
    const fresh = toyRun()
    for (const [name, p] of fresh.parameters)
      expect(kept.tensors.get(`p.${name}`)!.data).toEqual(p.dataSync())
    tf.dispose([...fresh.parameters.values()])
  },
)

test('without a checkpoint too, weights that are not finite are no result', async () => {
  await expect(weightsAfter({ steps: 1, learningRate: Number.POSITIVE_INFINITY })).rejects.toMatchObject({
    code: 'numeric',
  })
})

test('a loss that is not finite stops the run and names the step', async () => {
  const run = toyRun()
  const loss: TrainOptions['loss'] = batch => run.loss(batch).mul(Number.NaN)
  await expect(train({ ...run, loss })).rejects.toMatchObject({
    code: 'numeric',
    message: 'the loss of step 1 is NaN',
    hint: expect.stringMatching(/weights or the data/),
  })
  tf.dispose([...run.parameters.values()])
})

test('batches without a token to learn are refused', async () => {
  const run = toyRun()
  const sequences = sequencesOf(toyStream(), 12).map(({ ids }) => ({
    ids,
    weights: new Uint8Array(ids.length),
  }))
  await expect(train({ ...run, batches: shuffled(sequences, { rows: 4, seed: 5 }) })).rejects.toThrow(
    'the batches of step 1 have no token to learn',
  )
  tf.dispose([...run.parameters.values()])
})
