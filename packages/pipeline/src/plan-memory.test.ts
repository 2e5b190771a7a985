import { afterAll, beforeAll, expect, test } from 'vitest'
import { type OpenedModel, openModel } from './open/open-model.ts'
import { planMemory } from './plan-memory.ts'
import { settingsOf } from './settings.ts'

const settings = settingsOf({ effort: 'fast' })
let tiny: OpenedModel
beforeAll(async () => {
  tiny = await openModel('npm:@reallm/tiny', settings)
})
afterAll(() => tiny.close())

/** The tiny model as one of other layers. */
const withLayer = (width: number, inner: number): OpenedModel => ({
  ...tiny,
  parts: {
    ...tiny.parts,
    matrices: [
      { name: 'model.layers.0.mlp.up_proj', kind: 'up_proj', shape: [inner, width], layer: 0 },
      { name: 'model.layers.0.mlp.down_proj', kind: 'down_proj', shape: [width, inner], layer: 0 },
    ],
  },
})

test('what fits is done with all threads, and ahead', () => {
  expect(planMemory(tiny, settings, 4, 2e9)).toMatchObject({ threads: 4, opensAhead: true, most: 2e9 })
})

test('less memory means less at a time, and never less memory than one matrix takes', () => {
  const wide = withLayer(2048, 8192)
  const { expected } = planMemory(wide, settings, 4, 1e12)
  const tight = planMemory(wide, settings, 4, expected - 1)
  expect(tight.opensAhead).toBe(false)
  expect(tight.expected).toBeLessThan(expected)
  const fewer = planMemory(wide, settings, 4, tight.expected - 1)
  expect(fewer.threads).toBeLessThan(4)
  const { most } = planMemory(withLayer(8192, 32768), settings, 4)
  expect(most).toBeGreaterThan(2e9)
  const ask = () => planMemory(withLayer(8192, 32768), settings, 4, 2e9)
  expect(ask).toThrow(/GB of memory to compress, more than 2.00 GB/)
})

test('training after rounding goes layer by layer before it is refused', () => {
  const training = settingsOf({ effort: 'fast', tune: { steps: 1 } })
  const whole = planMemory(tiny, training, 1, 1e12)
  expect(whole.trainsByLayer).toBe(false)
  expect(whole.expected).toBeGreaterThan(planMemory(tiny, settings, 1, 1e12).expected)
  expect(planMemory(tiny, training, 1, whole.expected - 1).trainsByLayer).toBe(true)
  const large = { ...tiny, parts: { ...tiny.parts, parameters: 1e9 } }
  expect(() => planMemory(large, training, 1)).toThrow(/^training .* takes 8\.\d+ GB of memory/)
})
