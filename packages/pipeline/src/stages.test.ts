import type { ProgressEvent } from '@reallm/tensor-io'
import { expect, test } from 'vitest'
import { inStages, staged } from './stages.ts'

const stages = {
  read: { share: 1, events: ['tensor-end'] },
  encode: { share: 3, events: ['matrix-end'] },
}

function follow() {
  const seen: ProgressEvent[] = []
  let clock = 0
  const { work } = inStages(stages, { onProgress: event => seen.push(event) }, () => clock)
  const tell = (stage: 'read' | 'encode', event: string, done: number, total: number, at: number) => {
    clock = at
    work(stage).onProgress?.({ event, done, total })
    return seen.at(-1)!.overall
  }
  return { seen, tell }
}

test('stages make one progress, with the time left at the speed so far', () => {
  const { tell } = follow()
  expect(tell('read', 'tensor-end', 0, 4, 0)).toEqual({ share: 0 })
  expect(tell('read', 'tensor-end', 2, 4, 1)).toEqual({ share: 0.125, eta: 7 })
  expect(tell('encode', 'matrix-end', 1, 3, 4)).toEqual({ share: 0.5, eta: 4 })
  expect(tell('encode', 'matrix-end', 3, 3, 8)).toEqual({ share: 1, eta: 0 })
})

test('other events of a stage, and stages that were skipped, never turn it back', () => {
  const { tell } = follow()
  expect(tell('encode', 'columns-end', 9, 9, 0)?.share).toBe(0.25)
  expect(tell('encode', 'matrix-end', 1, 3, 1)?.share).toBe(0.5)
  expect(tell('encode', 'columns-end', 1, 9, 2)?.share).toBe(0.5)
})

test('a run that goes on estimates by what it does itself', () => {
  const { tell } = follow()
  expect(tell('encode', 'matrix-end', 1, 3, 10)).toEqual({ share: 0.5 })
  expect(tell('encode', 'matrix-end', 2, 3, 11)).toEqual({ share: 0.75, eta: 1 })
})

test('events keep what they say, and nobody has to listen', () => {
  const { seen, tell } = follow()
  tell('read', 'tensor-end', 1, 2, 0)
  expect(seen[0]).toMatchObject({ event: 'tensor-end', done: 1, total: 2 })
  expect(inStages(stages, {}).work('read').onProgress).toBeUndefined()
})

test('events tell the stage they belong to, others stay with it', () => {
  const seen: ProgressEvent[] = []
  const { onProgress } = staged(stages, { onProgress: event => seen.push(event) }, () => 0)
  for (const event of ['tensor-end', 'matrix-end', 'warning']) onProgress?.({ event, done: 1, total: 2 })
  expect(seen.map(({ overall }) => overall?.share)).toEqual([0.125, 0.625, 0.625])
  expect(staged(stages, {}).onProgress).toBeUndefined()
})
