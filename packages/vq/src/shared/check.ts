export { checkHessian, checkParts, checkShape, checkWeights, parseParams, shapeText } from '@reallm/tensor-io'

/** Divisors of `n` around `near`, for hints: the largest below, the two above. */
export function divisorsNear(n: number, near: number): number[] {
  const divisors = Array.from({ length: n }, (_, i) => i + 1).filter(d => n % d === 0)
  const below = divisors.filter(d => d < near).slice(-2)
  const above = divisors.filter(d => d >= near).slice(0, 2)
  return [...below, ...above].filter(d => d > 1)
}
