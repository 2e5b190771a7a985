import type { MatrixModule } from '../open/model-parts.ts'
import type { SplitHessians } from './split-hessian.ts'

/** What calibration tells of one matrix: enough to measure what its configurations would do to the model. */
export interface MatrixStatistics {
  readonly module: MatrixModule
  readonly hessians: SplitHessians
  /** Mean squared gradient at the module's outputs. */
  readonly gradient: number
  /** For embedding and head: how often each row is used, summing to 1. */
  readonly rowUse?: Float32Array
}
