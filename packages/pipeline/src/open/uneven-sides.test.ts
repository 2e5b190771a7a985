import { normals } from '@reallm/testing'
import { expect, test } from 'vitest'
import { builtInRecipe } from '../recipes/recipes.ts'
import type { MatrixModule } from './model-parts.ts'
import { unevenSides } from './uneven-sides.ts'

const shape = [96, 128] as const

/** Rows and columns that differ by up to these factors, read in two pieces. */
function sidesOf(ofRows: number, ofCols: number) {
  const { data } = normals(...shape, 1)
  for (let i = 0; i < data.length; i++) {
    const [r, c] = [Math.floor(i / shape[1]), i % shape[1]]
    data[i] *= ofRows ** Math.sin(r) * ofCols ** Math.sin(c)
  }
  const sides = unevenSides(shape)
  sides.add(data.subarray(0, 32 * shape[1]), 0)
  sides.add(data.subarray(32 * shape[1]), 32 * shape[1])
  return sides.found()
}

test('sides are uneven where scales gain more than their bits', () => {
  expect(sidesOf(1, 1)).toEqual({ rows: false, cols: false })
  expect(sidesOf(2, 1)).toEqual({ rows: true, cols: false })
  expect(sidesOf(1, 2)).toEqual({ rows: false, cols: true })
  expect(sidesOf(2, 2)).toEqual({ rows: true, cols: true })
})

test('zeros alone, or in some columns, are not uneven', () => {
  const zeros = unevenSides([4, 4])
  zeros.add(new Float32Array(16), 0)
  expect(zeros.found()).toEqual({ rows: false, cols: false })
  const unread = unevenSides([2, 2])
  unread.add(Float32Array.of(1, 0, 1, 0), 0)
  expect(unread.found()).toEqual({ rows: false, cols: false })
})

test('effort fast scales columns only', () => {
  const module: MatrixModule = {
    ...{ name: 'model.layers.0.q_proj', kind: 'q_proj', shape, layer: 0, uneven: { rows: true, cols: true } },
  }
  const sides = (effort: 'fast' | 'normal') => builtInRecipe('reallm').layers(module, effort)[0].params
  expect(sides('fast')).toMatchObject({ rows: false, cols: true })
  expect(sides('normal')).toMatchObject({ rows: true, cols: true })
})
