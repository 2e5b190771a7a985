import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { load } from '@reallm/runtime'
import { expect, it } from 'vitest'
import { ask, askAlone } from '../test/clients.ts'
import { serve } from './serve.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes of objects that something still refers to. */
async function heldBytes(): Promise<number> {
  await new Promise(resolve => setTimeout(resolve, 100))
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

it('gives many clients at once what each of them gets alone, and keeps no memory of them', {
  timeout: 240_000,
}, async () => {
  const model = await load('npm:@reallm/tiny')
  const server = await serve(model, { port: 0, parallel: 8, waiting: 20 })
  const asked = await askAlone(server.url, 24)
  const many = (requests: number) => ask(server.url, asked, 40, () => requests-- > 0)
  // code that is compiled on the way is held too
  await many(150)
  const before = { model: model.bytes, heap: await heldBytes() }
  const seen = await many(120)
  expect(seen.wrong).toEqual([])
  expect(seen.seconds).toHaveLength(120)
  expect(seen.refused).toBeGreaterThan(0)
  expect(model.bytes).toBe(before.model)
  // what belongs to one request takes more than 20 kB
  expect((await heldBytes()) - before.heap).toBeLessThan(120 * 5000)
  await server.close()
  model.dispose()
})
