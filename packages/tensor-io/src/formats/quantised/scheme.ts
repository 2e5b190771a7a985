import type { ComputedTensor } from '../overlay-store.ts'
import type { TensorStore } from '../store.ts'

/** How another tool stores quantised weights. */
export interface Scheme {
  /** The tool and its settings: `GPTQ, 4 bits, groups of 128`. */
  readonly description: string
  /**
   * The weights that a store holds in this way, decoded, by their names.
   *
   * @throws `bad-file` naming a tensor that is missing or misshapen
   */
  decoded(where: string, store: TensorStore): Map<string, ComputedTensor>
}

/** Contents of `quantization_config`. */
export type Settings = Readonly<Record<string, unknown>>

/** A scheme, or why these settings of it are not read. */
export type SchemeOrReason = Scheme | { readonly reason: string }
