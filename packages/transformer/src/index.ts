export * from './config.ts'
export * from './ops.ts'
export * from './tf.ts'
export * from './transformer.ts'
