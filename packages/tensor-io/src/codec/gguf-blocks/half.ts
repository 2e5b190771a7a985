import { f16Table } from '../../core/float.ts'

/** Decodes one block: `bytes` from `at` on to `out` from `o` on. */
export type DecodeBlock = (bytes: Uint8Array, at: number, out: Float32Array, o: number) => void

let table: Float32Array | undefined

/** The half float at `at`. */
export function half(bytes: Uint8Array, at: number): number {
  table ??= f16Table()
  return table[bytes[at] | (bytes[at + 1] << 8)]
}

/** A byte as a signed number. */
export const signed = (byte: number): number => (byte << 24) >> 24
