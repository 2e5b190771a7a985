import { bitsPerWeight, matrix, random } from '@reallm/tensor-io'
import { grid, kmeans, trellis } from '@reallm/vq'

const { normal } = random(1)
const w = matrix(Float32Array.from({ length: 128 * 256 }, normal), [128, 256])

const rows = []
for (const [codec, params] of [
  [trellis, { bits: 2 }],
  [kmeans, { bits: 2, dim: 2, group: 'none' }],
  [grid, { bits: 2 }],
]) {
  const stored = await codec.encode(w, params, { seed: 1 })
  const { data } = codec.decode(stored)
  const error = data.reduce((sum, v, i) => sum + (v - w.data[i]) ** 2, 0) / data.length
  rows.push({ codec: codec.name, 'bits per weight': bitsPerWeight(stored), 'mean squared error': error })
}
console.table(rows) // at 2 bits no code can get below 2^-4 = 0.0625
