// Where else a matrix can be encoded, in Node; workers-page.ts has the same for pages.
export { threads } from './threads.ts'

/** Loads BullMQ only when it is asked for. */
export const queueModule = () => import('./queue/queue-encoder.ts')

/** Zeros in memory that all threads see: what is sent to one is not copied. */
export const sharedFloats = (length: number): Float32Array =>
  new Float32Array(new SharedArrayBuffer(4 * length))
