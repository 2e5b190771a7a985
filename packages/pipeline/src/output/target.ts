import type { StorageCost } from '@reallm/tensor-io'
import type { QuantisedModel } from '../quantise/quantised-model.ts'

export const targetNames = ['reallm', 'gguf', 'onnx'] as const
/**
 * What a compressed model is written as: an artifact, which this project runs; a GGUF file, which llama.cpp runs; ONNX, which
 * transformers.js runs.
 */
export type TargetName = (typeof targetNames)[number]

/** A written model that is complete except for its report, in the work directory. */
export interface UnpublishedModel {
  readonly folder: string
  /** What opens it. */
  readonly path: string
  /** Sum of the weight files. */
  readonly bytes: number
}

/** How a model's matrices become files. */
export interface Target {
  readonly name: TargetName
  /** Bytes that are stored in any case: norms, biases, metadata, the heads of files. */
  readonly fixedBytes: number
  /** Bytes of the parts of a matrix in a file, what names them there included. */
  storedBytes(module: string, cost: StorageCost): number
  /**
   * Writes a quantised model and the original's other tensors to a new directory in `work`.
   *
   * @param name of the file, where the target is one
   */
  write(quantised: QuantisedModel, work: string, name: string | undefined): Promise<UnpublishedModel>
}
