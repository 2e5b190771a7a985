export { type QueueOptions, queueEncoder } from './queue-encoder.ts'
export { type QueueStatus, queueStatus } from './queue-status.ts'
export type { RunStatus } from './run-record.ts'
export { type ServeQueueOptions, serveQueue } from './serve-queue.ts'
