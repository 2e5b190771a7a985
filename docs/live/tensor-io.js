import { openModel, sizeOf } from '@reallm/tensor-io'

// Only headers are read; rows come by range requests.
const model = await openModel('/models/tiny/')
console.log(model.kind, `${model.tensors.size} tensors, ${model.bytes} bytes`)
console.table(
  [...model.tensors]
    .slice(0, 5)
    .map(([name, { dtype, shape }]) => ({ name, dtype, shape, weights: sizeOf(shape) })),
)

const { data } = await model.readFloat32('model.embed_tokens.weight', [42, 43])
console.log('row 42 of the embedding:', data)
await model.close()
