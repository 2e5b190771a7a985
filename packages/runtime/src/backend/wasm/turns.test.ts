import { fileURLToPath } from 'node:url'
import { openWeights } from '@reallm/tensor-io/models'
import { expect, it } from 'vitest'
import { Decoder } from '../../decoder.ts'
import { loadWeights } from '../../load-weights.ts'
import { Session } from '../../session.ts'
import { Turns } from './turns.ts'
import { wasmBackend } from './wasm-backend.ts'

const tiny = fileURLToPath(new URL('../../../../tiny/model', import.meta.url))

it('takes turns in order, also after one that failed', async () => {
  const turns = new Turns(Number.POSITIVE_INFINITY)
  const seen: number[] = []
  const slow = turns.take(async () => {
    await turns.pause()
    seen.push(1)
  })
  const failing = turns.take(() => {
    seen.push(2)
    throw new Error('two')
  })
  turns.afterwards(() => void seen.push(3))
  const last = turns.take(() => seen.push(4))
  await expect(failing).rejects.toThrow('two')
  await Promise.all([slow, last])
  turns.afterwards(() => void seen.push(5))
  expect(seen).toEqual([1, 2, 3, 4, 5])
})

it('lets other work go on during a pass, and computes the same, memory being given back meanwhile', async () => {
  const backend = await wasmBackend({ pauseAfter: 0 })
  const model = await openWeights(tiny)
  const decoder = await Decoder.create(
    backend,
    model.config,
    await loadWeights(backend, model, { form: 'f32' }),
  )
  await model.close()
  const ids = [53, 411, 287, 300, 12, 1000]
  using alone = new Session(decoder)
  const want = await alone.feed(ids)
  // scratch space of texts that are read at a time stays
  const readers = [0, 1, 2, 3].map(() => new Session(decoder))
  await Promise.all(readers.map(session => session.feed(ids)))
  for (const session of readers) session.dispose()
  await new Promise(resolve => setImmediate(resolve))
  const before = backend.bytes

  let [other, isReading] = [0, true]
  const watching = (async () => {
    for (; isReading; other++) await new Promise(resolve => setImmediate(resolve))
  })()
  const sessions = [new Session(decoder), new Session(decoder)]
  const left = new Session(decoder)
  const leaving = left.feed(ids)
  const reading = sessions.map(session => session.feed(ids))
  left.dispose()
  const got = await Promise.all(reading)
  await leaving
  isReading = false
  await watching
  expect(got).toEqual([want, want])
  expect(other).toBeGreaterThan(10)
  for (const session of sessions) session.dispose()
  expect(backend.bytes).toBe(before)
  backend[Symbol.dispose]()
})
