import fc from 'fast-check'
import { expect, test } from 'vitest'
import { allocate, type Candidate, frontier } from './knapsack.ts'

const candidates = fc.array(
  fc.record({ bytes: fc.integer({ min: 1, max: 30 }), loss: fc.double({ min: 0, max: 9, noNaN: true }) }),
  {
    minLength: 1,
    maxLength: 4,
  },
)

function byTrying(matrices: readonly (readonly Candidate[])[], budget: number): number {
  const [first, ...rest] = matrices
  if (!first) return budget < 0 ? Infinity : 0
  return Math.min(
    ...first.map(c => (c.bytes > budget ? Infinity : c.loss + byTrying(rest, budget - c.bytes))),
  )
}

test('finds the optimum that trying everything finds', () => {
  fc.assert(
    fc.property(
      fc.array(candidates, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 150 }),
      (matrices, budget) => {
        const best = byTrying(matrices, budget)
        if (best === Infinity) return void expect(() => allocate(matrices, budget)).toThrow(/too few/)
        const found = allocate(matrices, budget)
        const chosen = found.choice.map((c, i) => matrices[i][c])
        expect(chosen.reduce((sum, c) => sum + c.bytes, 0)).toBe(found.bytes)
        expect(found.bytes).toBeLessThanOrEqual(budget)
        expect(found.loss).toBeCloseTo(best, 4)
      },
    ),
    { numRuns: 300, seed: 1 },
  )
})

test('300 matrices of 8 rates fill the budget and lose no more than the frontier before it', () => {
  const matrices = Array.from({ length: 300 }, (_, i) =>
    Array.from({ length: 8 }, (_, k) => ({
      bytes: Math.round((1000 + ((i * 7919) % 13) * 500) * (1 + k / 2) + 37),
      loss: (1 + Math.abs(Math.sin(i))) * 4 ** -(1 + k / 2),
    })),
  )
  const found = allocate(matrices, 300 * 8000)
  expect(found.bytes).toBeLessThanOrEqual(300 * 8000)
  expect(found.bytes).toBeGreaterThan(300 * 8000 * 0.999)
  const before = frontier(matrices).findLast(point => point.bytes <= 300 * 8000)!
  expect(found.loss).toBeLessThanOrEqual(before.loss)
})

test('the frontier grows in size, falls in loss, and each point is optimal for its size', () => {
  const matrices = [1, 3, 2].map(scale =>
    [1, 2, 3, 4].map(k => ({ bytes: 10 * k * scale, loss: scale * 4 ** -k })),
  )
  const points = frontier(matrices)
  expect(points).toHaveLength(10)
  for (const [i, point] of points.entries()) {
    if (i > 0) expect(point.bytes).toBeGreaterThan(points[i - 1].bytes)
    expect(allocate(matrices, point.bytes).loss).toBeCloseTo(point.loss, 9)
  }
})
