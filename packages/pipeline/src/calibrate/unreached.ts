import { type Matrix, zeroMatrix } from '@reallm/tensor-io'
import { plusDiagonal } from './covariance.ts'
import type { MatrixStatistics } from './matrix-statistics.ts'
import type { SplitHessians } from './split-hessian.ts'

/** Statistics of a matrix; no Hessians where no token of the calibration text reaches it. */
export interface MaybeReached extends Omit<MatrixStatistics, 'hessians'> {
  readonly hessians: SplitHessians | undefined
}

/**
 * Gives experts that no calibration token reaches the statistics of one that is used little: inputs that are independent,
 * of the mean size of those of the other experts' matrices of that kind, and the smallest gradient among these.
 */
export function unreachedAsOthers(found: readonly MaybeReached[]): MatrixStatistics[] {
  return found.map(each => {
    const { module, hessians } = each
    if (hessians) return { ...each, hessians }
    const others = found.filter(other => other.hessians && other.module.kind === module.kind)
    const size =
      others.reduce((sum, other) => sum + meanDiagonal(other.hessians!.measuring), 0) / others.length
    const plain = plusDiagonal(zeroMatrix(module.shape[1], module.shape[1]), size)
    const gradient = Math.min(...others.map(other => other.gradient))
    return { ...each, hessians: { rounding: plain, measuring: plain }, gradient }
  })
}

function meanDiagonal({ cols, data }: Matrix): number {
  let sum = 0
  for (let i = 0; i < data.length; i += cols + 1) sum += data[i] / cols
  return sum
}
