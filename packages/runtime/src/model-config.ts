export { allTensors, parseConfig, type TransformerConfig } from '../../transformer/src/config.ts'
export { type ModelWeights, openWeights } from '../../transformer/src/weights.ts'
