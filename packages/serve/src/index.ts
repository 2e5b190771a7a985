export type { Answered } from './answered.ts'
export { type ModelServer, type ServeOptions, serve } from './serve.ts'
