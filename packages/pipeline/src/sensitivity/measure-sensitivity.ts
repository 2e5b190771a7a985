import * as z from 'zod'
import type { MatrixStatistics } from '../calibrate/matrix-statistics.ts'
import { jsonKey } from '../checkpoint/keys.ts'
import { freeLarge } from '../encoder/free-large.ts'
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
 * `‖g‖²` (with a share that all tokens have). Configurations are measured while more is calibrated, as long as the Hessians of
 * what is being measured take at most `most` bytes.
 */
export async function measureSensitivity(
  statistics: AsyncIterable<readonly MatrixStatistics[]>,
  options: ConfigurationErrorOptions,
  most: number,
): Promise<Sensitivity> {
  const found: Record<string, Readonly<Record<string, number>>> = {}
  const measuring = new Set<Promise<void>>()
  let held = 0
  const measureOne = async (matrix: MatrixStatistics) => {
    const errors = await configurationErrors(options, matrix)
    found[matrix.module.name] = Object.fromEntries(
      [...errors].map(([id, error]) => [id, 0.5 * matrix.gradient * error]),
    )
  }
  for await (const some of statistics) {
    // The widest go first: they take longest, and none is left to wait for alone.
    const widestFirst = [...some].sort((a, b) => b.module.shape[1] - a.module.shape[1])
    const bytes = hessianBytes(some)
    held += bytes
    const started: Promise<void> = Promise.all(widestFirst.map(measureOne)).then(() => {
      measuring.delete(started)
      held -= bytes
      freeLarge(bytes)
    })
    // Whatever stops the calibration is what is reported.
    started.catch(() => {})
    measuring.add(started)
    while (held > most) await Promise.race(measuring)
  }
  await Promise.all(measuring)
  return found
}

/** Bytes of the Hessians of some matrices, of which several may have the same: two for each. */
function hessianBytes(statistics: readonly MatrixStatistics[]): number {
  const all = new Set(statistics.map(({ hessians }) => hessians.rounding))
  return [...all].reduce((sum, { data }) => sum + 2 * data.byteLength, 0)
}
