export { e8 } from './codec.ts'
export { type E8Params, e8Params } from './params.ts'
