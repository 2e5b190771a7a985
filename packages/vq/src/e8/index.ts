export { type E8Params, e8 } from './codec.ts'
