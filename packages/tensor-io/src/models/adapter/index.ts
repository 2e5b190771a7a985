export { type Adapter, type AdapterModule, configName, weightsName } from './adapter.ts'
export { parseAdapter } from './parse.ts'
export { readAdapter } from './read.ts'
