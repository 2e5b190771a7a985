import type { AttendShared, PerLayerInputsOp } from '../layered-op.ts'
import { type LayerCache, linear, type Place, readCache, rmsNorm, rope, row } from './ops.ts'

/** What the heads read of an earlier layer's cache, `[tokens, heads · headDim]`. */
export function attendShared(
  { spec, norm }: AttendShared,
  query: Float32Array,
  cache: LayerCache,
  place: Place,
): Float32Array {
  const normed = norm ? rmsNorm(query, norm) : query
  const turned = rope(normed, spec, { ...place, heads: spec.heads, queries: true })
  return readCache(spec, turned, cache, place.first)
}

/** The tokens' second embedding, `[tokens, width]` for each layer. */
export function perLayerInputs(
  { projection, norm, table, to }: PerLayerInputsOp,
  ids: readonly number[],
  hidden: Float32Array,
): Float32Array[] {
  const [{ width }] = to
  const { rows } = projection
  const all = rmsNorm(linear(hidden, projection, undefined), norm)
  for (const [t, id] of ids.entries()) {
    const looked = row(table, id, Math.sqrt(width))
    for (const [i, value] of looked.entries()) all[t * rows + i] = (all[t * rows + i] + value) * Math.SQRT1_2
  }
  return to.map((_, layer) => {
    const own = new Float32Array(ids.length * width)
    for (let t = 0; t < ids.length; t++) {
      const from = t * rows + layer * width
      own.set(all.subarray(from, from + width), t * width)
    }
    return own
  })
}
