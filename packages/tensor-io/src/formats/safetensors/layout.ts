import { byteLength, type DType, dtypes } from '../../core/dtype.ts'
import { type Shape, sizeOf } from '../../core/tensor.ts'

/** What a file is going to hold: dtype and shape by name. */
export type PlannedTensors = Readonly<Record<string, { readonly dtype: DType; readonly shape: Shape }>>

export interface Layout {
  /** Length and JSON of the header, padded to a multiple of 8. */
  readonly header: Uint8Array<ArrayBuffer>
  /** Position of each tensor in the file, in the order of the file. */
  readonly positions: ReadonlyMap<string, number>
  readonly bytes: number
}

/** Lays out a safetensors file: wide dtypes first, so that all are aligned, then by name; the same plan always gives the same bytes. */
export function layOut(planned: PlannedTensors, metadata: Readonly<Record<string, string>> = {}): Layout {
  const names = Object.keys(planned).sort(
    (a, b) => dtypes[planned[b].dtype].bytes - dtypes[planned[a].dtype].bytes || (a < b ? -1 : 1),
  )
  const entries: [string, unknown][] = []
  if (Object.keys(metadata).length > 0) {
    entries.push([
      '__metadata__',
      Object.fromEntries(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1))),
    ])
  }
  const offsets: number[] = []
  let at = 0
  for (const name of names) {
    const { dtype, shape } = planned[name]
    const end = at + byteLength(dtype, sizeOf(shape))
    entries.push([name, { dtype, shape, data_offsets: [at, end] }])
    offsets.push(at)
    at = end
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)))
  const header = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20)
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true)
  header.set(json, 8)
  return {
    header,
    positions: new Map(names.map((name, i) => [name, header.length + offsets[i]])),
    bytes: header.length + at,
  }
}
