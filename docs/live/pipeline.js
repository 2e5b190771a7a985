import { allocate } from '@reallm/pipeline'
import { matrix, random } from '@reallm/tensor-io'
import { rotated, trellis, withFeedback } from '@reallm/vq'

// Transforms make codecs of codecs: the rotation spreads large columns, error feedback corrects each error in later columns.
const { normal } = random(1)
const w = matrix(
  Float32Array.from({ length: 64 * 96 }, (_, i) => normal() * (i % 96 === 5 ? 8 : 1)),
  [64, 96],
)
const errorOf = async (codec, params) => {
  const { data } = codec.decode(await codec.encode(w, params, { seed: 1 }))
  return data.reduce((sum, v, i) => sum + (v - w.data[i]) ** 2, 0) / data.length
}
console.log('trellis alone        ', await errorOf(trellis, { bits: 3 }))
console.log('rotated              ', await errorOf(rotated(withFeedback(trellis)), { inner: { bits: 3 } }))

// The exact division of a budget among the candidates of two matrices.
const sizes = [10, 20, 30].map((bytes, i) => ({ bytes, loss: 4 ** -i }))
console.log('choices for 40 bytes:', allocate([sizes, sizes], 40).choice)
