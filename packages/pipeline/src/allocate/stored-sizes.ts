import type { StorageCost } from '@reallm/tensor-io'

/** What matrices and everything else take in the files of a target. */
export interface StoredSizes {
  /** Bytes that are stored in any case: norms, biases, metadata, the heads of files. */
  readonly fixedBytes: number
  /** Bytes of the parts of a matrix in a file, what names them there included. */
  storedBytes(module: string, cost: StorageCost): number
  /** The stored tensor of a matrix that others lie in too: all of them get the same configuration. */
  stackOf?(module: string): string | undefined
}
