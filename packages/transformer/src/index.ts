export * from './tf.ts'
