export { type QueueOptions, queuePool } from './queue-pool.ts'
export { type ServeQueueOptions, serveQueue } from './serve-queue.ts'
