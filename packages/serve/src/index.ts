export type { Answered } from './app.ts'
export { type ModelServer, type ServeOptions, serve } from './serve.ts'
