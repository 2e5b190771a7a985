export {
  allTensors,
  blockTensors,
  type ChatMessage,
  embeddingAndHeadTensors,
  type HuggingFaceConfig,
  type LayerSpec,
  type LinearModule,
  linearModules,
  type ModelWeights,
  openTokenizer,
  openWeights,
  type Projection,
  parseConfig,
  type TextTokenizer,
  type TokenizerFiles,
  type TransformerConfig,
  widestInput,
} from '@reallm/tensor-io/models'
export * from './adapter/index.ts'
export { embedTokens, rowsOf, type TokenBatch } from './embed-tokens.ts'
export { type GenerateOptions, generate, generateIds } from './generate.ts'
export { type Head, withHead } from './head.ts'
export { createKvCache, type KvCache } from './kv-cache.ts'
export { crossEntropy, embedding, linear } from './ops.ts'
export { hiddenOf, streamWidth } from './stream.ts'
export * from './tf.ts'
export { type RowSource, readRows, type TokenRows, tokenRows } from './token-rows.ts'
export * from './transformer.ts'
export * from './weight-source.ts'
export { loadBlock, loadEmbeddingsAndHead, loadTensors, loadWeights } from './weights.ts'
