import { load } from '@reallm/runtime'
import { expect, it } from 'vitest'
import { ask, askAlone } from '../test/clients.ts'
import { serve } from './serve.ts'

it('gives many clients at once what each of them gets alone, and keeps no memory of them', async () => {
  const model = await load('npm:@reallm/tiny')
  const server = await serve(model, { port: 0, parallel: 8, waiting: 20 })
  const asked = await askAlone(server.url, 24)
  const idle = model.bytes
  let left = 120
  const seen = await ask(server.url, asked, 40, () => left-- > 0)
  expect(seen.wrong).toEqual([])
  expect(seen.seconds).toHaveLength(120)
  expect(seen.refused).toBeGreaterThan(0)
  expect(model.bytes).toBe(idle)
  await server.close()
  model.dispose()
})
