export * from './grid/index.ts'
export * from './normalfloat/index.ts'
