// In Node this package compresses whole models; in a page its parts work on matrices, and models run.
import { io, runtime, vq } from 'reallm'

const source = await io.openModel('/models/tiny/')
const { shape, data } = await source.readFloat32('model.layers.0.mlp.down_proj.weight')
await source.close()
for (const bits of [4, 3, 2]) {
  const stored = await vq.trellis.encode(io.matrix(data, shape), { bits }, { seed: 1 })
  const approx = vq.trellis.decode(stored).data
  const lost =
    approx.reduce((sum, v, i) => sum + (v - data[i]) ** 2, 0) / data.reduce((sum, v) => sum + v * v, 0)
  console.log(
    `${io.bitsPerWeight(stored).toFixed(2)} bits per weight: ${(100 * lost).toFixed(2)} % of the energy lost`,
  )
}

const model = await runtime.load('/models/tiny/')
console.log(await model.generate('The whale', { maxTokens: 16 }).text())
model.dispose()
