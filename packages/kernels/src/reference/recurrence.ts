/** See `recurrence` of the kernels. */
export interface RecurrenceSizes {
  readonly ldx: number
  readonly valueAt: number
  readonly keyAt: number
  readonly queryAt: number
  readonly tokens: number
  readonly heads: number
  readonly shared: number
  readonly keyDim: number
  readonly valueDim: number
  readonly isDelta: boolean
}

/** The recurrence of each head, position by position. */
export function recur(
  x: Float32Array,
  matrices: Float32Array,
  left: Float32Array,
  write: Float32Array,
  y: Float32Array,
  sizes: RecurrenceSizes,
): void {
  const { ldx, tokens, heads, shared, keyDim, valueDim, isDelta } = sizes
  for (let t = 0; t < tokens; t++) {
    for (let head = 0; head < heads; head++) {
      const of = (from: number, width: number) => x.subarray(t * ldx + from, t * ldx + from + width)
      const group = Math.floor(head / shared) * keyDim
      const [k, q] = [of(sizes.keyAt + group, keyDim), of(sizes.queryAt + group, keyDim)]
      const v = of(sizes.valueAt + head * valueDim, valueDim)
      const s = matrices.subarray(head * keyDim * valueDim, (head + 1) * keyDim * valueDim)
      const at = t * heads + head
      for (let j = 0; j < valueDim; j++) {
        const column = (i: number) => i * valueDim + j
        const known = k.reduce((sum, key, i) => sum + key * s[column(i)], 0)
        const u = write[at] * (isDelta ? v[j] - left[at] * known : v[j])
        for (const [i, key] of k.entries()) s[column(i)] = left[at] * s[column(i)] + key * u
        y[at * valueDim + j] = q.reduce((sum, query, i) => sum + query * s[column(i)], 0)
      }
    }
  }
}
