import type { Pointer } from '@reallm/kernels/inference'
import type { Attention } from '@reallm/tensor-io/models'

/** Queries of the tokens at hand, and where what the heads read goes; `position` is that of the first. */
export interface Attending {
  readonly query: Pointer
  /** How the heads read. */
  readonly spec: Reading
  /** What is appended first; undefined where the cache has it. */
  readonly own: { readonly keys: Pointer; readonly values: Pointer } | undefined
  readonly to: Pointer
  readonly tokens: number
  readonly position: number
  /** A score of each head that takes its share and gives nothing. */
  readonly sinks?: Pointer | undefined
}

/** Attention as queries see it. */
type Reading = Pick<Attention, 'heads' | 'window' | 'scale'> & Partial<Pick<Attention, 'softcap'>>

/** Keys and values of the positions that a layer has seen; what lies behind those is overwritten. */
export interface KvCache {
  readonly bytes: number
  /** Makes room for `positions` in all, of which `filled` are in use. */
  reserve(positions: number, filled: number): void
  /** Appends keys and values if there are, and attends. */
  attend(at: Attending): void
  dispose(): void
}
