import { configuration, recipe } from '../../../packages/pipeline/src/index.ts'
import { onnxBlocks } from '../../../packages/tensor-io/src/index.ts'
import { grid } from '../../../packages/vq/src/index.ts'

const inFourBits = () => [
  configuration({
    id: 'onnx-4b-nearest',
    label: 'MatMulNBits 4 bits',
    codec: grid,
    params: { bits: 4, ...onnxBlocks, clip: 'absmax' },
  }),
]
/** What converters to ONNX do: every matrix on 4 bits, rounded to nearest. */
export const nearest = recipe({
  name: 'onnx-nearest',
  what: 'everything on 4 bits, rounded to nearest',
  source: 'ONNX Runtime',
  target: 'onnx',
  layers: inFourBits,
  embeddings: inFourBits,
  allocate: 'predicted',
  objective: { kind: 'weights' },
})
