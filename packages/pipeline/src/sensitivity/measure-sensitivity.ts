import * as z from 'zod'
import type { MatrixStatistics } from '../calibrate/matrix-statistics.ts'
import { jsonKey } from '../checkpoint/keys.ts'
import type { ConfigurationErrorOptions } from './configuration-errors.ts'
import { configurationErrors } from './configuration-errors.ts'

/** Predicted loss of every configuration of every matrix, by module and configuration id, in any unit that adds up. */
export type Sensitivity = Readonly<Record<string, Readonly<Record<string, number>>>>

export const sensitivityKey = jsonKey<Sensitivity>(
  'sensitivity.json',
  z.record(z.string(), z.record(z.string(), z.number())),
)

/**
 * Measures the KL divergence from the original, in nats per token, that each configuration would add. To second order
 * `KL ≈ ½ · mean((g ΔW x)²)`, taken apart as `½ · mean(g²) · tr(ΔW H ΔWᵀ)`, H being the mean of `‖g‖² x xᵀ` over that of
 * `‖g‖²` (with a share that all tokens have). The configurations of one layer are measured while the next is calibrated.
 */
export async function measureSensitivity(
  statistics: AsyncIterable<readonly MatrixStatistics[]>,
  options: ConfigurationErrorOptions,
): Promise<Sensitivity> {
  const found: Record<string, Readonly<Record<string, number>>> = {}
  let measuring: Promise<unknown> = Promise.resolve()
  for await (const layer of statistics) {
    await measuring
    // The widest go first: they take longest, and none is left to wait for alone.
    const widestFirst = [...layer].sort((a, b) => b.module.shape[1] - a.module.shape[1])
    measuring = Promise.all(
      widestFirst.map(async matrix => {
        const errors = await configurationErrors(options, matrix)
        found[matrix.module.name] = Object.fromEntries(
          [...errors].map(([id, error]) => [id, 0.5 * matrix.gradient * error]),
        )
      }),
    )
    // Whatever stops the calibration is what is reported.
    measuring.catch(() => {})
  }
  await measuring
  return found
}
