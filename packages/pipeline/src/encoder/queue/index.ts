export { type QueueOptions, queuePool } from './queue-encoder.ts'
export { type ServeQueueOptions, serveQueue } from './serve-queue.ts'
