import type { StoredSizes } from '../allocate/stored-sizes.ts'
import type { QuantisedModel } from '../quantise/quantised-model.ts'
import type { TargetName } from './target-name.ts'

/** A written model that is complete except for its report, in the work directory. */
export interface UnpublishedModel {
  readonly folder: string
  /** What opens it. */
  readonly path: string
  /** Sum of the weight files. */
  readonly bytes: number
}

/** How a model's matrices become files. */
export interface Target extends StoredSizes {
  readonly name: TargetName
  /**
   * Writes a quantised model and the original's other tensors to a new directory in `work`.
   *
   * @param name of the file, where the target is one
   */
  write(quantised: QuantisedModel, work: string, name: string | undefined): Promise<UnpublishedModel>
}
