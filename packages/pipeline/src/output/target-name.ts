export const targetNames = ['reallm', 'gguf', 'onnx'] as const
/**
 * What a compressed model is written as: an artifact, which this project runs; a GGUF file, which llama.cpp runs; ONNX, which
 * transformers.js runs.
 */
export type TargetName = (typeof targetNames)[number]
