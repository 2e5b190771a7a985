// Where else a matrix can be encoded, in Node; workers-page.ts has the same for pages.
export { threads } from './threads.ts'

/** Loads BullMQ only when it is asked for. */
export const queueModule = () => import('./queue/queue-encoder.ts')
