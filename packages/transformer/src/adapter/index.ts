export { type Adapter, type AdapterModule, parseAdapter, readAdapter } from '@reallm/tensor-io/models'
export { adapted, type LoadedAdapter, loadAdapter } from './apply.ts'
export { encodeAdapter, writeAdapter } from './write.ts'
