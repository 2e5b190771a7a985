import { type Matrix, random, zeroMatrix } from '@reallm/tensor-io'
import { chooseBuild } from '../src/engine.ts'

/** Standard normal entries. */
export function randomMatrix(rows: number, cols: number, seed = 1): Matrix {
  const { normal } = random(seed)
  const m = zeroMatrix(rows, cols)
  m.data.forEach((_, i, data) => {
    data[i] = normal()
  })
  return m
}

export const identity = (n: number): Matrix => {
  const m = zeroMatrix(n, n)
  for (let i = 0; i < n; i++) m.data[i * n + i] = 1
  return m
}

/** Largest absolute difference; NaN where only one side is NaN. */
export function distance(a: { data: ArrayLike<number> }, b: { data: ArrayLike<number> }): number {
  if (a.data.length !== b.data.length) return Number.NaN
  let most = 0
  for (let i = 0; i < a.data.length; i++) {
    if (!Object.is(a.data[i], b.data[i])) {
      const d = Math.abs(a.data[i] - b.data[i])
      if (!(d <= most)) most = d
    }
  }
  return most
}

/** What `work` gives in plain TypeScript. */
export function withReference<T>(work: () => T): T {
  chooseBuild('reference')
  try {
    return work()
  } finally {
    chooseBuild()
  }
}
