import { expect, test } from 'vitest'
import { limited } from './limited.ts'

test('at most so many run at a time, in order, and one that fails makes room', async () => {
  const run = limited(2)
  let [running, most] = [0, 0]
  const order: number[] = []
  const results = await Promise.allSettled(
    [0, 1, 2, 3, 4].map(i =>
      run(async () => {
        order.push(i)
        most = Math.max(most, ++running)
        await Promise.resolve()
        running--
        if (i === 1) throw new Error('fails')
        return i
      }),
    ),
  )
  expect(most).toBe(2)
  expect(order).toEqual([0, 1, 2, 3, 4])
  expect(results.map(({ status }) => status === 'fulfilled')).toEqual([true, false, true, true, true])
})
