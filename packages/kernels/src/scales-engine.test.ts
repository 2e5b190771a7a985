import { expect, test } from 'vitest'
import { randomMatrix, withReference } from '../test/random-matrix.ts'
import { chooseBuild, engine, runningEngine } from './engine.ts'
import { fitScales } from './fit-scales.ts'
import { createPool } from './pool.ts'
import { scalesEngine } from './scales-engine.ts'

const levels = Float32Array.from({ length: 8 }, (_, i) => i - 3.5)
const weights = randomMatrix(3, 37, 5)
weights.data.forEach((v, i, data) => {
  data[i] = v * v
})
const fitted = () => fitScales(randomMatrix(2000, 37), weights, levels)

test('fits scales without starting all kernels, to the same bits as these, with any number of threads', async () => {
  const alone = fitted()
  expect(runningEngine()).toBeUndefined()
  for (const build of ['plain', chooseBuild()] as const) {
    chooseBuild(build)
    expect(scalesEngine()).toBe(engine())
    expect(fitted()).toEqual(alone)
  }
  const pool = await createPool({ threads: 2 })
  expect(scalesEngine()).toBe(engine())
  expect(fitted()).toEqual(alone)
  pool.close()
})

test('is not there where plain TypeScript was chosen', () => {
  expect(withReference(() => scalesEngine())).toBeUndefined()
})
