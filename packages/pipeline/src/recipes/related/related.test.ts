import { outputError } from '@reallm/kernels'
import { bitsOf, bitsPerWeight } from '@reallm/tensor-io'
import { correlatedHessian, normals } from '@reallm/testing'
import { describe, expect, test } from 'vitest'
import { choicesFor, type MatrixModule } from '../recipe.ts'
import { builtInRegistry } from '../registry.ts'
import { relatives } from './related.ts'

const module = (rows: number, cols: number): MatrixModule => ({
  name: `model.layers.3.test`,
  kind: 'q_proj',
  shape: [rows, cols],
  block: 3,
  headDim: 16,
})
/** OneBit has one rate. */
const withRates = relatives.filter(recipe => recipe.name !== 'onebit')

describe.each(withRates)('$name', recipe => {
  test.each([
    [192, 576],
    [576, 576],
    [1536, 576],
  ])('spans rates on a [%i, %i] matrix', (rows, cols) => {
    const rates = choicesFor(recipe, module(rows, cols), 'normal').map(
      c => bitsOf(c.cost([rows, cols])) / (rows * cols),
    )
    expect(Math.min(...rates)).toBeLessThan(2.5)
    expect(Math.max(...rates)).toBeGreaterThan(2.5)
    expect(new Set(rates).size).toBeGreaterThan(3)
  })

  test('cheapest and dearest choice: stored as counted, decoded by the registry, the dearer one is better', async () => {
    const w = normals(64, 96, 1)
    const hessian = correlatedHessian(96, 2)
    const choices = choicesFor(recipe, module(64, 96), 'fast').sort(
      (a, b) => bitsOf(a.cost([64, 96])) - bitsOf(b.cost([64, 96])),
    )
    const errors: number[] = []
    for (const choice of [choices[0], choices.at(-1)!]) {
      const stored = await choice.encode(w, { hessian, seed: 1 })
      expect(bitsOf(stored)).toBe(bitsOf(choice.cost([64, 96])))
      expect(bitsPerWeight(stored)).toBeGreaterThan(0)
      const decoded = builtInRegistry().decode(stored)
      expect(decoded).toEqual(choice.decode(stored))
      errors.push(outputError(w, decoded, { hessian }))
    }
    expect(errors[1]).toBeLessThan(errors[0])
  })
})
