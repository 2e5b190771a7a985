import type { GatedMlp } from '@reallm/tensor-io/models'

/** `gate · σ(alpha · gate) · (up + 1)`, the gate at most `limit`, the other within ± `limit`. */
export function clampedProduct(
  gate: number,
  up: number,
  { alpha, limit }: NonNullable<GatedMlp['clamp']>,
): number {
  const g = Math.min(gate, limit)
  return (g / (1 + Math.exp(-alpha * g))) * (Math.min(Math.max(up, -limit), limit) + 1)
}
