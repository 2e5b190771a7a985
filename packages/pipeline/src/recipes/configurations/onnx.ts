import { grid, withFeedback } from '@reallm/vq'
import { BLOCK, embeddingBits, matrixBits } from '../../output/onnx/constants.ts'
import { type Configuration, configuration } from '../configuration.ts'

const feedbackGrid = withFeedback(grid)

const blocksOf = (bits: number): Configuration =>
  configuration({
    id: `onnx-${bits}b`,
    label: `MatMulNBits ${bits} bits`,
    codec: feedbackGrid,
    params: { bits, group: BLOCK, symmetric: false, scales: 'f32' },
  })

/** Uniform integers as ONNX Runtime's MatMulNBits stores them. */
export const onnxMatrices = (): Configuration[] => matrixBits.map(blocksOf)

/** Those whose rows ONNX Runtime looks up. */
export const onnxEmbeddings = (): Configuration[] => embeddingBits.map(blocksOf)
