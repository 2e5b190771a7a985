/**
 * How ONNX Runtime's `MatMulNBits` holds a matrix: the parts of the codec `grid` with these
 * parameters, byte for byte.
 */
export const onnxBlocks = { group: 32, symmetric: false, scales: 'f32' } as const

/** Bits of a code that `MatMulNBits` knows; rows are only looked up at 4 and 8. */
export const onnxMatrixBits = [2, 4, 8] as const
/** Bits that ONNX Runtime stores embeddings on. */
export const onnxEmbeddingBits = [4, 8] as const

/** The parts, as the constant `<module>.<part>` names them in a model's file. */
export const onnxParts = ['codes', 'scales', 'zeros'] as const

/** Element types of ONNX tensors: the format's number, and bytes of an element. */
export const onnxTypes = {
  float: { number: 1, bytes: 4 },
  uint8: { number: 2, bytes: 1 },
  int32: { number: 6, bytes: 4 },
  int64: { number: 7, bytes: 8 },
} as const
