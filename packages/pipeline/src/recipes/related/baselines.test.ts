import { outputError } from '@reallm/kernels'
import { bitsOf, bitsPerWeight } from '@reallm/tensor-io'
import { correlatedHessian, normals } from '@reallm/testing'
import { describe, expect, test } from 'vitest'
import type { MatrixModule } from '../../open/model-parts.ts'
import { configurationsFor } from '../recipe.ts'
import { builtInRegistry } from '../registry.ts'
import { baselines } from './baselines.ts'

const module = (rows: number, cols: number): MatrixModule => ({
  name: `model.layers.3.test`,
  kind: 'q_proj',
  shape: [rows, cols],
  layer: 3,
  headDim: 16,
})
/** OneBit has one rate. */
const withRates = baselines.filter(recipe => recipe.name !== 'onebit')

describe.each(withRates)('$name', recipe => {
  test.each([
    [192, 576],
    [576, 576],
    [1536, 576],
  ])('spans rates on a [%i, %i] matrix', (rows, cols) => {
    const rates = configurationsFor(recipe, module(rows, cols), 'normal').map(
      c => bitsOf(c.cost([rows, cols])) / (rows * cols),
    )
    expect(Math.min(...rates)).toBeLessThan(2.5)
    expect(Math.max(...rates)).toBeGreaterThan(2.5)
    expect(new Set(rates).size).toBeGreaterThan(3)
  })

  test('cheapest and dearest configuration: stored as counted, decoded by the registry, the dearer one is better', async () => {
    const w = normals(64, 96, 1)
    const hessian = correlatedHessian(96, 2)
    const configurations = configurationsFor(recipe, module(64, 96), 'fast').sort(
      (a, b) => bitsOf(a.cost([64, 96])) - bitsOf(b.cost([64, 96])),
    )
    const errors: number[] = []
    for (const configuration of [configurations[0], configurations.at(-1)!]) {
      const stored = await configuration.encode(w, { hessian, seed: 1 })
      expect(bitsOf(stored)).toBe(bitsOf(configuration.cost([64, 96])))
      expect(bitsPerWeight(stored)).toBeGreaterThan(0)
      const decoded = builtInRegistry().decode(stored)
      expect(decoded).toEqual(configuration.decode(stored))
      errors.push(outputError(w, decoded, { hessian }))
    }
    expect(errors[1]).toBeLessThan(errors[0])
  })
})
