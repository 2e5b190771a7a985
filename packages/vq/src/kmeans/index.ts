export { kmeans } from './codec.ts'
export { type KmeansParams, kmeansParams } from './params.ts'
