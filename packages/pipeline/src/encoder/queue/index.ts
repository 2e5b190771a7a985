export { type QueueOptions, queueEncoder } from './queue-encoder.ts'
export { type ServeQueueOptions, serveQueue } from './serve-queue.ts'
