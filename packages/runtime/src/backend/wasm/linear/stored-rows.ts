/** Decodes rows `from` to `to` (exclusive) of a stored matrix into `out`. */
export type StoredRows = (from: number, to: number, out: Float32Array) => void
