export { parseAdapter, readAdapter } from '@reallm/tensor-io/adapter'
export type { Adapter, AdapterModule } from '@reallm/tensor-io/models'
export { adapted, type LoadedAdapter, loadAdapter } from './apply.ts'
export { encodeAdapter, writeAdapter } from './write.ts'
