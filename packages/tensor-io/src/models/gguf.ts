export { configFromGguf, endIdsOfGguf, type GgufMetadata } from './config-from-gguf.ts'
export { configToGguf, type GgufConfig } from './config-to-gguf.ts'
export type { RopeTensors } from './gguf-rope.ts'
export { ggufStacks, ggufTensors, ggufValues, permuteHeads, type StoredInGguf } from './gguf-tensors.ts'
