import { expect, test } from 'vitest'
import type { MatrixModule } from '../open/model-parts.ts'
import { configurationsFor, efforts, findConfiguration } from './recipe.ts'
import { builtInRecipe, recipes } from './recipes.ts'

const inLayer = (kind: string, shape: [number, number]): MatrixModule => ({
  ...{ name: `model.layers.3.${kind}`, kind, shape, layer: 3, headDim: 64 },
})
const modules: MatrixModule[] = [
  inLayer('q_proj', [576, 576]),
  inLayer('v_proj', [192, 576]),
  inLayer('down_proj', [576, 1536]),
  { name: 'model.embed_tokens', kind: 'embed_tokens', shape: [4096, 576], tied: true },
]

test.each(recipes)('$name: ids of configurations and trials are unique, and lead back to them', recipe => {
  for (const module of modules) {
    for (const effort of efforts) {
      const configurations = configurationsFor(recipe, module, effort)
      const all = configurations.flatMap(c => [c, ...(c.trials ?? [])])
      expect(new Set(all.map(c => c.id)).size).toBe(all.length)
      for (const { id, label, params } of all) {
        expect(id).toMatch(/^[a-z0-9][\w.-]*$/i)
        expect(findConfiguration(recipe, module, effort, id)).toMatchObject({ id, label, params })
      }
    }
  }
})

test.each(recipes)(
  '$name: ids do not depend on the shape, so that a sample of rows can be measured',
  recipe => {
    for (const module of modules) {
      const sample = { ...module, shape: [32, module.shape[1]] as const }
      for (const { id, needsAllRows } of configurationsFor(recipe, module, 'normal')) {
        if (!needsAllRows) expect(findConfiguration(recipe, sample, 'normal', id).id).toBe(id)
      }
    }
  },
)

test('ids that checkpoints and jobs hold do not change', () => {
  const ids = (recipe: string, module: MatrixModule) =>
    configurationsFor(builtInRecipe(recipe), module, 'fast').map(c => c.id)
  expect(ids('trellis', modules[0])).toEqual([
    'trellis-1b-L8',
    'trellis-2b-L8',
    'trellis-3b-L8',
    'trellis-4b-L8',
  ])
  expect(ids('gptq', modules[0]).slice(4, 8)).toEqual(['grid-3b', 'grid-3b-row', 'grid-4b', 'grid-4b-row'])
})

test('reallm-packed keeps to 8 state bits at any effort', () => {
  for (const module of modules) {
    for (const { id } of configurationsFor(builtInRecipe('reallm-packed'), module, 'best')) {
      expect(id).toMatch(/^(trellis-.*-L8|grid-)/)
    }
  }
})

test('an id that a recipe does not have is refused by name', () => {
  expect(() => findConfiguration(builtInRecipe('gptq'), modules[0], 'fast', 'grid-9b')).toThrow(
    /q_proj: the recipe gptq has no configuration grid-9b/,
  )
})
