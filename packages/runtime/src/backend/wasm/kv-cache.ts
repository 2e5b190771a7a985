import type { Pointer } from '@reallm/kernels/inference'

/** Queries, keys and values of the tokens at hand, and where what the heads read goes; `position` is that of the first. */
export interface Attending {
  readonly query: Pointer
  readonly key: Pointer
  readonly value: Pointer
  readonly to: Pointer
  readonly tokens: number
  readonly position: number
  /** A score of each head that takes its share and gives nothing. */
  readonly sinks?: Pointer | undefined
}

/** Keys and values of the positions that a layer has seen; what lies behind those is overwritten. */
export interface KvCache {
  readonly bytes: number
  /** Makes room for `positions` in all, of which `filled` are in use. */
  reserve(positions: number, filled: number): void
  /** Appends keys and values, and attends. */
  attend(at: Attending): void
  dispose(): void
}
