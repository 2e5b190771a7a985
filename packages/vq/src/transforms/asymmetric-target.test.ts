import { gram, matmul } from '@reallm/kernels'
import { normals } from '@reallm/testing'
import { expect, test } from 'vitest'
import { asymmetricTarget } from './asymmetric-target.ts'

const distance = (a: Float32Array, b: Float32Array) => a.reduce((sum, v, i) => sum + (v - b[i]) ** 2, 0)

test('gives the original outputs on the changed inputs', () => {
  const x = normals(300, 16, 1)
  const noise = normals(300, 16, 2)
  const changed = {
    ...x,
    data: x.data.map((v, i) => 0.8 * v + 0.2 * x.data[i - (i % 16)] + 0.1 * noise.data[i]),
  }
  const w = normals(8, 16, 3)
  const mean = (m: Float32Array) => m.map(v => v / 300)
  const hessian = { ...gram(changed), data: mean(gram(changed).data) }
  const cross = matmul(x, changed, { transposeA: true })
  const crossCovariance = { ...cross, data: mean(cross.data) }
  const options = { lambda: 0.01 }
  const target = asymmetricTarget(w, { crossCovariance }, hessian, options)
  const same = asymmetricTarget(w, matmul(w, crossCovariance), hessian, options)
  for (const [i, value] of target.data.entries()) expect(value).toBeCloseTo(same.data[i], 4)
  const wanted = matmul(x, w, { transposeB: true }).data
  const before = distance(matmul(changed, w, { transposeB: true }).data, wanted)
  const after = distance(matmul(changed, target, { transposeB: true }).data, wanted)
  expect(after).toBeLessThan(0.3 * before)
})

test('equal inputs ask for the same weights', () => {
  const hessian = gram(normals(50, 6, 1))
  const w = normals(3, 6, 2)
  expect(asymmetricTarget(w, matmul(w, hessian), hessian).data).toEqual(w.data)
  expect(asymmetricTarget(w, { crossCovariance: hessian }, hessian).data).toEqual(w.data)
})
