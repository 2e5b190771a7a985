import { expect, it } from 'vitest'
import type { Batch, State } from '../backend.ts'
import { type Call, CallQueue } from './call-queue.ts'
import { Turns } from './turns.ts'

/** A queue of passes of up to 8 tokens that notes which ids go together. */
function queue(fail: (ids: readonly number[]) => boolean = () => false) {
  const passes: (readonly number[])[] = []
  const turns = new Turns(Number.POSITIVE_INFINITY)
  const calls = new CallQueue(turns, 8, async (calls: readonly Call[]) => {
    const ids = calls.flatMap(({ batch }) => batch.ids)
    passes.push(ids)
    await turns.pause()
    if (fail(ids)) throw new Error('no memory')
    for (const { use, resolve } of calls) {
      use?.(Float32Array.from(ids))
      resolve()
    }
  })
  return { passes, calls }
}

const state = (): State => ({ length: 0, bytes: 0, truncate: () => 0, [Symbol.dispose]() {} })
const batch = (ids: readonly number[], of = state()): Batch => ({ ids, state: of, length: ids.length })

it('puts calls together that wait while others run, as many tokens as fit', async () => {
  const { passes, calls } = queue()
  await Promise.all([[1], [2], [3, 4, 5, 6, 7], [8, 9, 10], [11]].map(ids => calls.add(batch(ids))))
  expect(passes).toEqual([[1], [2, 3, 4, 5, 6, 7, 11], [8, 9, 10]])
})

it('keeps the order of calls of one state', async () => {
  const { passes, calls } = queue()
  const one = state()
  await Promise.all([[1], [2], [3]].map(ids => calls.add(batch(ids, one))))
  expect(passes).toEqual([[1], [2], [3]])
})

it('waits a little for texts that were written together, and goes on without those that have ended', async () => {
  const { passes, calls } = queue()
  const write = async (from: number, tokens: number) => {
    const own = state()
    for (let id = from; id < from + tokens; id++) {
      await calls.add(batch([id], own))
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  await Promise.all([write(10, 4), write(20, 4), write(30, 2)])
  expect(passes.map(ids => ids.length)).toEqual([1, 2, 3, 2, 2])
})

it('tells all of a pass that it failed, and carries on', async () => {
  const { passes, calls } = queue(ids => ids.includes(2))
  const all = [[1], [2], [3]].map(ids => calls.add(batch(ids)))
  expect((await Promise.allSettled(all)).map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
    'rejected',
  ])
  let seen: number[] = []
  await calls.add(batch([4]), logits => {
    seen = [...logits]
  })
  expect([passes.at(-1), seen]).toEqual([[4], [4]])
})
