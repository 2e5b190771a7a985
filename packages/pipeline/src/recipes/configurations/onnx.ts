import { onnxBlocks, onnxEmbeddingBits, onnxMatrixBits } from '@reallm/tensor-io'
import { grid, withFeedback } from '@reallm/vq'
import { type Configuration, configuration } from '../configuration.ts'

const feedbackGrid = withFeedback(grid)

const blocksOf = (bits: number): Configuration =>
  configuration({
    id: `onnx-${bits}b`,
    label: `MatMulNBits ${bits} bits`,
    codec: feedbackGrid,
    params: { bits, ...onnxBlocks },
  })

/** Uniform integers as ONNX Runtime's MatMulNBits stores them. */
export const onnxMatrices = (): Configuration[] => onnxMatrixBits.map(blocksOf)

/** Those whose rows ONNX Runtime looks up. */
export const onnxEmbeddings = (): Configuration[] => onnxEmbeddingBits.map(blocksOf)
