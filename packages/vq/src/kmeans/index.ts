export { type KmeansParams, kmeans } from './codec.ts'
