export * from './grid/index.ts'
export * from './kmeans/index.ts'
export * from './normalfloat/index.ts'
export * from './trellis/index.ts'
