export * from './ops.ts'
export * from './tf.ts'
