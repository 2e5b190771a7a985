import { lowrank, randomizedSvd } from '@reallm/lowrank'
import { bitsPerWeight, matrix, random } from '@reallm/tensor-io'

// A matrix with quickly falling singular values, and some noise.
const { normal } = random(1)
const data = Float32Array.from(
  { length: 120 * 200 },
  (_, i) => Math.sin(i / 7) * Math.cos(i / 201) + 0.1 * normal(),
)
const w = matrix(data, [120, 200])
console.log('singular values:', randomizedSvd(w, 6).s)

for (const rank of [1, 2, 4, 8]) {
  const stored = await lowrank.encode(w, { rank, bits: 8 }, { seed: 1 })
  const approx = lowrank.decode(stored)
  const error = approx.data.reduce((sum, v, i) => sum + (v - data[i]) ** 2, 0)
  const energy = data.reduce((sum, v) => sum + v * v, 0)
  console.log(
    `rank ${rank}: ${bitsPerWeight(stored).toFixed(2)} bits per weight, ${((100 * error) / energy).toFixed(1)} % of the energy lost`,
  )
}
