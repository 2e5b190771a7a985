/** See `attention` of the kernels. */
export interface AttentionSizes {
  readonly tokens: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  readonly position: number
  readonly window: number
  readonly scale: number
  readonly softcap: number
  /** `[heads]` */
  readonly sinks?: Float32Array | undefined
}

/** Causal attention: `q` and `out` `[tokens, heads, headDim]`, `k` and `v` `[positions, kvHeads, headDim]`. */
export function attend(
  q: Float32Array,
  k: Float32Array,
  v: Float32Array,
  out: Float32Array,
  { tokens, heads, kvHeads, headDim, position, window, scale, softcap, sinks }: AttentionSizes,
): void {
  for (let unit = 0; unit < tokens * heads; unit++) {
    const end = position + Math.floor(unit / heads) + 1
    const from = window > 0 ? Math.max(0, end - window) : 0
    const head = Math.floor(((unit % heads) * kvHeads) / heads)
    const at = (i: number) => (i * kvHeads + head) * headDim
    const query = q.subarray(unit * headDim, (unit + 1) * headDim)
    const scores = Float64Array.from({ length: end - from }, (_, i) => {
      const score = scale * query.reduce((sum, value, d) => sum + value * k[at(from + i) + d], 0)
      return softcap > 0 ? softcap * Math.tanh(score / softcap) : score
    })
    const sink = sinks?.[unit % heads] ?? -Infinity
    const top = scores.reduce((most, score) => Math.max(most, score), sink)
    const weights = scores.map(s => Math.exp(s - top))
    const total = weights.reduce((sum, w) => sum + w, Math.exp(sink - top))
    for (let d = 0; d < headDim; d++) {
      out[unit * headDim + d] = weights.reduce((sum, w, i) => sum + w * v[at(from + i) + d], 0) / total
    }
  }
}
