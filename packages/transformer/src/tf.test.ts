import { expect, it } from 'vitest'
import { activeBackend, backendNames, listBackends, tf, useBackend } from './tf.ts'

it('says that no backend is chosen, before one is', () => {
  expect(() => tf.tensor([1])).toThrow('no compute backend is chosen yet')
  expect(activeBackend()).toBeUndefined()
})

it('lists every backend with why and how', async () => {
  const backends = await listBackends()
  expect(backends.map(b => b.name)).toEqual(backendNames)
  for (const { why, how } of backends) expect([why, how].every(text => text.length > 5)).toBe(true)
  expect(backends.filter(b => b.name === 'wasm' || b.name === 'cpu').every(b => b.found)).toBe(true)
})

it('changes backends, and keeps the one in use when none is named', async () => {
  expect(await useBackend('cpu')).toMatchObject({ name: 'cpu', threads: 1 })
  expect(await useBackend()).toMatchObject({ name: 'cpu' })
  expect(await useBackend('wasm')).toMatchObject({ name: 'wasm', threads: 1 })
  expect(tf.getBackend()).toBe('wasm')
  expect([...tf.tensor([1, 2]).square().dataSync()]).toEqual([1, 4])
  expect(activeBackend()?.name).toBe('wasm')
})

it('refuses what is not there, with what to do', async () => {
  await expect(useBackend('webgpu')).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringContaining('navigator.gpu'),
  })
  await expect(useBackend('abacus' as never)).rejects.toMatchObject({ hint: expect.stringContaining('wasm') })
})
