export type { Adapter, AdapterModule } from './adapter.ts'
export { adapted, type LoadedAdapter, loadAdapter, mergeAdapter } from './apply.ts'
export { parseAdapter, readAdapter } from './read.ts'
export { encodeAdapter, writeAdapter } from './write.ts'
