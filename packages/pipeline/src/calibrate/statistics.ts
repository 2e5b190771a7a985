import { type Matrix, toFloat32 } from '@reallm/tensor-io'
import * as z from 'zod'
import type { Checkpoint } from '../checkpoint/checkpoint.ts'
import { floats, jsonKey, type Key, mappedKey, matrixKey } from '../checkpoint/keys.ts'

/** The diagonal of a weight's Fisher information as LQ-LoRA takes it: means over each row, and over each column. */
export interface Fisher {
  /** `[out]` */
  readonly rows: Float32Array
  /** `[in]` */
  readonly cols: Float32Array
}

/** Folder of the checkpoint that statistics lie in. */
export const statisticsFolder = 'statistics'

/**
 * What calibration keeps of the original model for rounding, by the recipe (`keptStatistics`). A new statistic is a key
 * here, its computation in `calibrate.ts`, and its use in `encode-matrix.ts`.
 */
export const statistics = {
  /** Covariance of the gradients at a module's outputs, `[out, out]`. */
  outputGradients: (module: string): Key<Matrix> =>
    matrixKey(`${statisticsFolder}/${module}.output-gradients`),
  /** How much each token counts in the Hessian of a projection group, `[sequences, positions]`; see `tokenWeights`. */
  tokenWeights: (group: string): Key<Matrix> => matrixKey(`${statisticsFolder}/${group}.token-weights`),
  fisher: (module: string): Key<Fisher> =>
    mappedKey(
      `${statisticsFolder}/${module}.fisher`,
      ({ rows, cols }) => ({ rows: floats([rows.length], rows), cols: floats([cols.length], cols) }),
      ({ rows, cols }) => ({ rows: toFloat32(rows), cols: toFloat32(cols) }),
    ),
  /** Hessian of the head's input, `[hidden, hidden]`. */
  headHessian: matrixKey(`${statisticsFolder}/head-hessian`),
  /** How often each row of embedding and head is used, `[vocabulary]`, summing to 1. */
  rowUse: mappedKey<Float32Array>(
    `${statisticsFolder}/row-use`,
    use => ({ use: floats([use.length], use) }),
    ({ use }) => toFloat32(use),
  ),
  /** Mean squared gradient at the embedding's output: a squared error of a row costs half of it, in nats. */
  inputSensitivity: jsonKey<number>(`${statisticsFolder}/input-sensitivity.json`, z.number()),
} as const

/** Mean squared gradient at the embedding's output; 0 where nothing was measured. */
export const inputSensitivityOf = async (checkpoint: Checkpoint): Promise<number> =>
  (await checkpoint.get(statistics.inputSensitivity)) ?? 0
