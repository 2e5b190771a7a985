import type { Matrix } from '@reallm/tensor-io'
import { expect, test } from 'vitest'
import { unreachedAsOthers } from './unreached.ts'

const diagonal = (...values: number[]): Matrix => ({
  rows: values.length,
  cols: values.length,
  data: Float32Array.from({ length: values.length ** 2 }, (_, i) =>
    i % (values.length + 1) === 0 ? values[Math.floor(i / values.length)] : 0,
  ),
})
const matrix = (name: string, kind: string, gradient: number, hessian?: Matrix) => ({
  module: { name, kind, shape: [3, 2] as const, layer: 0 },
  hessians: hessian && { rounding: hessian, measuring: hessian },
  gradient,
})

test('an expert that nothing reaches counts as the least used of its kind', () => {
  const [a, b, c, d] = unreachedAsOthers([
    matrix('0.up_proj', 'up_proj', 4, diagonal(1, 3)),
    matrix('1.up_proj', 'up_proj', 0),
    matrix('2.up_proj', 'up_proj', 0.5, diagonal(6, 6)),
    matrix('0.down_proj', 'down_proj', 0.1, diagonal(9, 9)),
  ])
  expect(b).toMatchObject({
    gradient: 0.5,
    hessians: { rounding: diagonal(4, 4), measuring: diagonal(4, 4) },
  })
  expect(a.gradient).toBe(4)
  expect(c.hessians.measuring).toEqual(diagonal(6, 6))
  expect(d.gradient).toBe(0.1)
})
