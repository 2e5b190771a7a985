import { expect, test } from 'vitest'
import { sameStatistics } from './same-statistics.ts'

const matrix = (...values: number[]) => ({ rows: 2, cols: 2, data: Float32Array.from(values) })

test('statistics of another run are others, whatever the matrix is called', () => {
  const hessian = matrix(1, 0, 0, 1)
  expect(sameStatistics({ hessian }, { hessian: matrix(1, 0, 0, 1) })).toBe(true)
  expect(sameStatistics({ hessian }, { hessian: matrix(1, 0, 0, 2) })).toBe(false)
  expect(sameStatistics({ hessian }, {})).toBe(false)
  expect(sameStatistics({ hessian }, { hessian, crossCovariance: hessian })).toBe(false)
  expect(sameStatistics({}, {})).toBe(true)
})
