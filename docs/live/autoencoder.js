import { implicit } from '@reallm/autoencoder'
import { bitsPerWeight, matrix, random } from '@reallm/tensor-io'
import { useBackend } from '@reallm/transformer'

await useBackend('wasm', { wasmPath: '/tfjs/' })
const { normal } = random(1)
const w = matrix(Float32Array.from({ length: 64 * 96 }, normal), [64, 96])

const params = { dim: 4, codeBits: [4, 4], hidden: 16, rounds: 2, steps: 20 }
const stored = await implicit.encode(w, params, { seed: 1 })
const { data } = implicit.decode(stored)
const error = data.reduce((sum, v, i) => sum + (v - w.data[i]) ** 2, 0) / data.length
console.log(
  `${bitsPerWeight(stored).toFixed(2)} bits per weight with the network's own, mean squared error ${error.toFixed(3)}`,
)
