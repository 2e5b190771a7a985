export { type GgufParams, gguf } from './codec.ts'
